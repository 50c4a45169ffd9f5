"""What each command does once its arguments are read: one module per verb that is more than a call."""
