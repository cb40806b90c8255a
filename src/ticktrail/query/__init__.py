"""SQL and Python reads over everything that is stored."""

from ticktrail.query.content import content_sql
from ticktrail.query.engine import Engine, Stored
from ticktrail.query.result import Result, to_pandas, to_polars
from ticktrail.query.times import Moment

__all__ = ["Engine", "Moment", "Result", "Stored", "content_sql", "to_pandas", "to_polars"]
