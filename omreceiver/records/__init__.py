"""What a record is here: mapped classes, their keys, fields and types. Nothing in this folder knows XML."""
