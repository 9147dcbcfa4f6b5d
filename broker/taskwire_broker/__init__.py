"""How work travels from the gateway to the workers."""
