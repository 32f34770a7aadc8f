"""A person's identifier must be one that the source's column can hold: else an erasure stopped in the middle with Arrow's error."""

from typing import Any

import pyarrow as pa
import pytest

from dataward.contract import Contract
from dataward.errors import UsageError
from dataward.privacy.subject import protected_ids

CONTRACT = Contract.model_validate(
    {
        "contract": "t", "source": {"path": "s"}, "target": {"path": "t"}, "keys": {"path": "k", "domain": "t"},
        "columns": {"id": {"protect": "keep"}}, "erasure": {"subject": "id"},
    }
)  # fmt: skip
NO_KEYS: Any = None


def test_an_identifier_that_is_no_value_of_the_column_is_refused_and_not_shown():
    assert protected_ids(CONTRACT, NO_KEYS, "5", pa.int64()) == ["5"]
    with pytest.raises(UsageError, match="no int64, which column 'id' of s holds") as caught:
        protected_ids(CONTRACT, NO_KEYS, "canary7", pa.int64())
    assert "canary7" not in str(caught.value)
