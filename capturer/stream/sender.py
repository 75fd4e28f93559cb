"""Records to the Kinesis stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from capturer.state.status import NOTHING, Counters
from capturer.stream.lanes import Parcel
from rowferry.errors import Refused


def kinesis_config(connections: int, longest: float) -> Config:
    """
    Configuration of the stream's client. It must not retry by itself: the lanes do.

    A request takes at most `longest` seconds. With the lease's margin for `longest`, one that began under a
    valid lease has ended before another holder begins.
    """
    return Config(
        connect_timeout=longest * 0.4,  # with the next one, `longest` in all
        read_timeout=longest * 0.6,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=connections,
        tcp_keepalive=True,
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """
    Outcome of a PutRecords request, one per record. `trouble` names the first error, empty if there is none.

    A failed record may be on the stream all the same: its answer may have been lost.
    """

    accepted: Sequence[Parcel]
    failed: Sequence[Parcel]
    counters: Counters = NOTHING
    trouble: str = ""


class Sender:
    """
    Sends parcels as records, one request at a time per thread. `token` is the fencing token in each record.
    """

    def __init__(self, client: Any, stream: str, token: int, lanes: int) -> None:
        self._client = client
        self._stream = stream
        self._token = token
        # Hash keys have 128 bits:
        # https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecordsRequestEntry.html
        self._hash_keys = [str(lane * 2**128 // lanes) for lane in range(lanes)]

    def pack(self, parcels: Sequence[Parcel]) -> list[dict[str, Any]]:
        """The request's records. The explicit hash key distributes the lanes evenly over the shards."""
        return [
            {
                "Data": parcel.encode(self._token),
                # Not redundant: with a parallelization factor, Lambda keeps the order of each partition key.
                "PartitionKey": str(parcel.lane),
                "ExplicitHashKey": self._hash_keys[parcel.lane],
            }
            for parcel in parcels
        ]

    def send(self, parcels: Sequence[Parcel], records: list[dict[str, Any]]) -> Sent:
        """Sends what `pack` made. Raises no error of the service: what was not surely accepted has failed."""
        try:
            answers = self._client.put_records(StreamName=self._stream, Records=records)["Records"]
        except (BotoCoreError, ClientError) as error:
            # Every record: after a timeout nobody knows which of them arrived.
            return Sent((), parcels, trouble=_name(error))
        if len(answers) != len(parcels):
            return Sent((), parcels, trouble="an answer for another number of records")
        # A request that succeeds may hold records that failed, in no order:
        # https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
        good = [not answer.get("ErrorCode") for answer in answers]
        accepted = [parcel for parcel, is_good in zip(parcels, good, strict=True) if is_good]
        counters = Counters(
            sum(len(parcel.contents) for parcel in accepted if parcel.marker is None),
            len(accepted),
            sum(len(record["Data"]) for record, is_good in zip(records, good, strict=True) if is_good),
        )
        failed = [parcel for parcel, is_good in zip(parcels, good, strict=True) if not is_good]
        return Sent(accepted, failed, counters, next(filter(None, (a.get("ErrorCode") for a in answers)), ""))


def require_stream(client: Any, stream: str) -> None:
    """Raises Refused if the stream does not exist, may not be used or is not active."""
    try:
        found = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    except (BotoCoreError, ClientError) as error:
        raise Refused(
            f"the stream {stream} cannot be used ({_name(error)})",
            "deploy the stack, and give STREAM_NAME, the region and credentials that may use the stream",
        ) from error
    # A stream takes records while its shards change:
    # https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StreamDescriptionSummary.html
    if found["StreamStatus"] not in ("ACTIVE", "UPDATING"):
        raise Refused(f"the stream {stream} is {found['StreamStatus']}", "wait until it is ACTIVE")


def _name(error: BotoCoreError | ClientError) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
