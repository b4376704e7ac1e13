"""python -m omreceiver"""

from omreceiver.cli import main

main()
