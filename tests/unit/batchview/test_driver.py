"""Which errors of MongoDB pass by themselves."""

from __future__ import annotations

import pytest
from pymongo import errors

from services.shared.batchview import driver
from services.shared.runtime.unavailable import Unavailable

PASSING = [
    errors.AutoReconnect("cut"),
    errors.ServerSelectionTimeoutError("none"),
    errors.NetworkTimeout("slow"),
    errors.NotPrimaryError("stepped down"),
    errors.WaitQueueTimeoutError("all in use"),
    errors.ExecutionTimeout("slow", 50),
    errors.CursorNotFound("late", 43),
    errors.WTimeoutError("no majority", 64),
    errors.OperationFailure("disk full", 14031),
    errors.BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}),
    errors.BulkWriteError({"writeErrors": [{"code": 14031}]}),
]
LASTING = [
    errors.OperationFailure("not authorised", 13),
    errors.BulkWriteError({"writeErrors": [{"code": 14031}, {"code": 121}]}),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_passes_is_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable, match="MongoDB"), driver._served():
        raise error


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_stays_is_an_error(error: Exception) -> None:
    with pytest.raises(type(error)), driver._served():
        raise error
