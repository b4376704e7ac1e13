"""What Salesforce says an object is. Files become values here; nothing in this folder knows SQL."""
