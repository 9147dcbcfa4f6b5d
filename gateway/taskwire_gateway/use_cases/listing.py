"""Lists, counts and histories for callers: filters and page tokens in, pages and tokens out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from taskwire_core.errors import InvalidRequest
from taskwire_core.filters import Filter
from taskwire_core.filters.parsing import parse
from taskwire_core.ids import to_text
from taskwire_core.listing import (
    Counts,
    Group,
    Listing,
    Order,
    Place,
    TaskEvent,
    TaskPage,
    TooManyToCount,
)
from taskwire_core.page_tokens import PageTokens
from taskwire_core.task import Task, View
from taskwire_gateway.use_cases.reading import task_not_found

PAGE = 50
PAGE_BYTES = 7 * 1024 * 1024 // 2
"""Clients take messages of 4 MiB unless they are told otherwise."""

COUNT_WITHIN_S = 3.0


class TaskLists(Protocol):
    """The store's side. Each raises StoreUnavailable."""

    async def list_tasks(self, wish: Listing) -> TaskPage:
        """One page of a list."""

    async def count_tasks(
        self, owner: str, filter_: Filter, groups: Sequence[Group], *, within_s: float
    ) -> Counts:
        """How many of `owner`'s tasks match, by the values of `groups`; raises TooManyToCount."""

    async def list_events(
        self, task_id: bytes, *, owner: str, after_version: int, limit: int
    ) -> list[TaskEvent] | None:
        """The next transitions of a task; None when `owner` has no such task."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A caller's request for a page; sizes and orders that were left out are filled in."""

    filter: str
    order: Order
    size: int
    page_token: str
    view: View

    @property
    def scope(self) -> str:
        """What a token of this list is good for."""
        return f"ListTasks {self.order} {self.filter}"


class Lists:
    """The use cases behind ListTasks, CountTasks and ListTaskEvents."""

    def __init__(self, lists: TaskLists, page_tokens: PageTokens) -> None:
        self._lists = lists
        self._page_tokens = page_tokens

    async def page(self, request: ListRequest, *, owner: str) -> TaskPage:
        """One page of `owner`'s tasks.

        Raises:
            InvalidRequest: INVALID_FILTER, INVALID_PAGE_TOKEN.
            StoreUnavailable: the store does not answer.
        """
        filter_, after = parse(request.filter), None
        if request.page_token:
            after = self._page_tokens.read(
                request.page_token, Place, user=owner, scope=request.scope
            )
        return await self._lists.list_tasks(
            Listing(
                owner=owner,
                filter=filter_,
                order=request.order,
                limit=request.size,
                view=request.view,
                max_bytes=PAGE_BYTES,
                after=after,
            )
        )

    def token(self, request: ListRequest, place: Place, *, owner: str) -> str:
        """The token of the page that begins after `place`."""
        return self._page_tokens.sign(place, user=owner, scope=request.scope)

    async def counts(self, filter_: str, groups: Sequence[Group], *, owner: str) -> Counts:
        """How many of `owner`'s tasks match, by the values of `groups`.

        Raises:
            InvalidRequest: INVALID_FILTER; also when too many rows would have to be looked at.
            StoreUnavailable: the store does not answer.
        """
        parsed = parse(filter_)
        try:
            return await self._lists.count_tasks(owner, parsed, groups, within_s=COUNT_WITHIN_S)
        except TooManyToCount:
            raise too_many_to_count() from None

    async def events(
        self, task_id: bytes, *, size: int, page_token: str, owner: str
    ) -> tuple[list[TaskEvent], str]:
        """One page of a task's transitions, and the token of the next one, empty for the last.

        Raises:
            InvalidRequest: INVALID_PAGE_TOKEN.
            NotFound: `owner` has no such task.
            StoreUnavailable: the store does not answer.
        """
        scope = f"ListTaskEvents {to_text(task_id)}"
        after = 0
        if page_token:
            after = self._page_tokens.read(page_token, int, user=owner, scope=scope)
        found = await self._lists.list_events(
            task_id, owner=owner, after_version=after, limit=size + 1
        )
        if found is None:
            raise task_not_found(task_id)
        if len(found) <= size:
            return found, ""
        kept = found[:size]
        return kept, self._page_tokens.sign(kept[-1].version, user=owner, scope=scope)


def place_of(task: Task, order: Order) -> Place:
    """Where `task` stands in a list of that order."""
    return Place(task.id, task.update_time_us if order is Order.CHANGED else 0)


def too_many_to_count() -> InvalidRequest:
    """The answer when a count would look at rows for longer than it may."""
    return InvalidRequest(
        "INVALID_FILTER",
        f"Counting by this filter takes longer than the {COUNT_WITHIN_S:g} s that a count has;"
        " narrow it by a state, a type, a label or a create_time. Counts by state, type, queue"
        " and owner alone take no time.",
        metadata={"limit": f"{COUNT_WITHIN_S:g}s"},
    )
