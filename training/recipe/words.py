"""Small words for the lines that a tenant reads."""


def count(number: int, noun: str) -> str:
    """`number` with `noun`, in the plural where it is one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
