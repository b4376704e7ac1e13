"""SOQL in Salesforce's own words, compiled to a SQLAlchemy select over the mapped classes. Nothing here writes."""
