"""Errors that a service finds, put beside the field they are about."""

from flask_wtf import FlaskForm

from portal.accounts import AccountError


def show(form: FlaskForm, error: AccountError) -> None:
    """Put `error` beside its field of `form`, or with the whole form where it has no such field."""
    if error.field in form:
        form[error.field].errors = [*form[error.field].errors, str(error)]
    else:
        form.form_errors.append(str(error))
