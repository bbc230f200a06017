"""Errors as answers: RFC 9457 problems that name the parameter and what is accepted."""

from collections.abc import Mapping
from http import HTTPStatus

from services.serving.api.models.ours import FieldError, Problem


class ProblemError(Exception):
    """An answer that is no success. `headers` go with it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}

    def body(self, instance: str) -> Problem:
        return Problem(
            type="about:blank",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            instance=instance,
            errors=list(self.errors),
        )


def bad(parameter: str, value: str, accepted: str) -> ProblemError:
    """A parameter that can't be read: 400."""
    return _field(400, parameter, value, accepted)


def unknown(parameter: str, value: str, accepted: str) -> ProblemError:
    """A parameter that does not exist here: 400."""
    error = FieldError(parameter=parameter, value=value[:256], accepted=accepted)
    return ProblemError(
        400, f"{parameter!r} is no parameter here; accepted: {accepted}", errors=(error,)
    )


def unprocessable(parameter: str, value: str, accepted: str) -> ProblemError:
    """A parameter that is well formed and still can't be answered: 422."""
    return _field(422, parameter, value, accepted)


def no_data(project: str) -> ProblemError:
    """In the words of the Wikimedia Analytics API: 404."""
    return ProblemError(
        404,
        "The date(s) you used are valid, but we either do not have data for those date(s), or the"
        f" project you asked for ({project}) is not loaded yet."
        " /v1/projects lists the projects that have changes.",
    )


def no_topic(name: str) -> ProblemError:
    """Topics of another model are gone with it: 404."""
    return ProblemError(
        404,
        f"topic: {name} is none of the model that answers now; /v1/topics lists those that there are",
    )


def gone() -> ProblemError:
    """A token whose generation or positions are no longer kept: 410."""
    return ProblemError(410, "at: what this token stands on is no longer kept; ask without it")


def missing(reasons: tuple[str, ...]) -> ProblemError:
    """A layer is missing: 503 unless the caller takes a partial answer."""
    return ProblemError(
        503,
        f"{'; '.join(reasons)}: ask with allow=partial for what there is, or again later",
        headers={"Retry-After": "5"},
    )


def unavailable(retry_after: float) -> ProblemError:
    """A store can't be read now: 503."""
    seconds = max(1, round(retry_after))
    return ProblemError(
        503, "a store cannot be read now; ask again", headers={"Retry-After": str(seconds)}
    )


def _field(status: int, parameter: str, value: str, accepted: str) -> ProblemError:
    error = FieldError(parameter=parameter, value=value[:256], accepted=accepted)
    detail = f"{parameter}: {error.value!r} is not accepted; accepted: {accepted}"
    return ProblemError(status, detail, errors=(error,))
