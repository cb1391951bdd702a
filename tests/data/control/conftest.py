import pytest


@pytest.fixture(autouse=True)
def environments():
    """Register the small environments of tests/helpers with gymnasium."""
    pytest.importorskip("gymnasium", reason="needs the extra 'control'")
    from tests.helpers.environments import registered

    with registered():
        yield
