"""Records to Kafka values and back, one at a time or many at once."""

from ticktrail.codec.columnar import Decoded, DecodedKind, decode_columns, encode_columns
from ticktrail.codec.general import DecodedRecord, decode_record, encode_record
from ticktrail.model import Record

__all__ = [
    "Decoded",
    "DecodedKind",
    "DecodedRecord",
    "decode",
    "decode_columns",
    "decode_record",
    "encode_columns",
    "encode_record",
]


def decode(value: bytes) -> Record:
    """Decode one Kafka value of any ``ticktrail`` topic.

    Raises
    ------
    CodecError
        If the bytes are no record.
    """
    return decode_record(value).record
