"""Why a fine-tune cannot be done, in words for the tenant."""


class RecipeError(Exception):
    """The data or the settings cannot be trained with; the message says what to change, and is fit to show.

    It never quotes a text of the tenant's.
    """
