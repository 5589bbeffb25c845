"""Errors that a service finds, put beside the field they are about."""

from typing import Protocol

from flask_wtf import FlaskForm


class FieldError(Protocol):
    """A service's error that knows the field it is about; as text it is for the person who asked."""

    field: str


def show(form: FlaskForm, error: FieldError) -> None:
    """Put `error` beside its field of `form`, or with the whole form where it has no such field."""
    if error.field in form:
        form[error.field].errors = [*form[error.field].errors, str(error)]
    else:
        form.form_errors.append(str(error))
