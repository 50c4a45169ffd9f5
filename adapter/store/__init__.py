"""What was received, answered, recorded and is still to be delivered: durable before anyone is told so."""
