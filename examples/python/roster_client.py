"""Calling Roster from Python as it wants to be called: one request id for all attempts of a write, one deadline for
all attempts of a call, pauses as the server asks for them, and failures with their reasons.

Needs grpcio, grpcio-status and googleapis-common-protos, and the code that `buf generate` makes.
"""

import random
import time
import uuid

import grpc
from google.protobuf.descriptor_pb2 import MethodOptions
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from roster.v1 import (
    event_service_pb2,
    event_service_pb2_grpc,
    invitation_service_pb2,
    invitation_service_pb2_grpc,
    team_service_pb2,
    team_service_pb2_grpc,
    user_service_pb2,
    user_service_pb2_grpc,
)

ATTEMPTS = 5


class Refused(Exception):
    """A call failed. `reason` is the name of a `roster.v1.ErrorReason`, or None where Roster did not answer."""

    def __init__(self, error):
        self.code, self.reason, self.facts, self.violations, self.retry_delay = error.code(), None, {}, {}, None
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            info, fields, retry = (
                error_details_pb2.ErrorInfo(),
                error_details_pb2.BadRequest(),
                error_details_pb2.RetryInfo(),
            )
            if detail.Unpack(info) and info.domain == "roster":
                self.reason, self.facts = info.reason, dict(info.metadata)
            elif detail.Unpack(fields):
                self.violations = {field.field: field.description for field in fields.field_violations}
            elif detail.Unpack(retry):
                self.retry_delay = retry.retry_delay.ToTimedelta().total_seconds()
        super().__init__(f"{self.code.name} {self.reason}: {error.details()}")


class Roster:
    """A connection for a service, or for a person that the service acts for."""

    def __init__(self, address, token=None, user=None, channel=None):
        self.address, self.token, self.user = address, token, user
        self.channel = channel or grpc.insecure_channel(address)
        self.metadata = []
        if token:
            self.metadata.append(("authorization", f"Bearer {token}"))
        if user:
            self.metadata.append(("roster-actor", f"user:{user}"))
        self.events = _Service(self, event_service_pb2, "EventService", event_service_pb2_grpc.EventServiceStub)
        self.invitations = _Service(
            self, invitation_service_pb2, "InvitationService", invitation_service_pb2_grpc.InvitationServiceStub
        )
        self.teams = _Service(self, team_service_pb2, "TeamService", team_service_pb2_grpc.TeamServiceStub)
        self.users = _Service(self, user_service_pb2, "UserService", user_service_pb2_grpc.UserServiceStub)

    def acting_for(self, user):
        """The same connection for calls in the name of a person."""
        return Roster(self.address, self.token, user, self.channel)


class _Service:
    """Each RPC of a service as a method: `roster.teams.GetTeam(request)`."""

    def __init__(self, roster, module, name, stub):
        self.roster, self.stub = roster, stub(roster.channel)
        self.methods = module.DESCRIPTOR.services_by_name[name].methods_by_name

    def __getattr__(self, name):
        method, call = self.methods[name], getattr(self.stub, name)
        if method.server_streaming:
            return lambda request, timeout=None: _stream(call, request, timeout, self.roster.metadata)
        return lambda request, timeout=30.0: _call(method, call, request, timeout, self.roster.metadata)


def _call(method, call, request, timeout, metadata):
    end = time.monotonic() + timeout
    takes_id = "request_id" in method.input_type.fields_by_name
    if takes_id and not request.request_id:
        request.request_id = str(uuid.uuid4())
    # With its request id a write is done once, however often it is asked for.
    repeatable = takes_id or method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call(request, timeout=max(end - time.monotonic(), 0.001), metadata=metadata)
        except grpc.RpcError as error:
            refused = Refused(error)
            pause = (refused.retry_delay or 0) + random.uniform(0, min(2.0, 0.05 * 2**attempt))
            if attempt == ATTEMPTS or not _helps(refused, repeatable) or time.monotonic() + pause >= end:
                raise refused from error
            time.sleep(pause)


def _helps(refused, repeatable):
    """Whether trying again can help, and does no harm."""
    if refused.code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return refused.retry_delay is not None
    if refused.code == grpc.StatusCode.ABORTED:
        return refused.reason == "CONCURRENT_MODIFICATION"
    return repeatable and refused.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def _stream(call, request, timeout, metadata):
    try:
        yield from call(request, timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        raise Refused(error) from error
