"""What stops the stack."""


class StackError(Exception):
    """The stack cannot start; the message is for the person at the terminal and says what to do."""
