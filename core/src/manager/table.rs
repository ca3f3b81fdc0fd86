//! The states and arrows of a token manager.

use crate::endpoint::nested::BROKEN;
use crate::endpoint::revocation;
use crate::grant::{client_credentials, refresh};
use crate::machine::{Arrow, EffectKind, EventKind, Finding, READY, StateId, StateRow, Table};

pub(super) const LOADING: StateId = StateId("Loading");
pub(super) const VACANT: StateId = StateId("Vacant");
pub(super) const FRESH: StateId = StateId("Fresh");
pub(super) const CLAIMING: StateId = StateId("Claiming");
pub(super) const RENEWING: StateId = StateId("Renewing");
pub(super) const ACQUIRING: StateId = StateId("Acquiring");
pub(super) const DELEGATING: StateId = StateId("Delegating");
pub(super) const REREADING: StateId = StateId("Rereading");
pub(super) const SAVING: StateId = StateId("Saving");
pub(super) const MARKING: StateId = StateId("Marking");
pub(super) const REVOKING: StateId = StateId("Revoking");
pub(super) const ERASING: StateId = StateId("Erasing");
pub(super) const RELEASING: StateId = StateId("Releasing");
pub(super) const RESTING: StateId = StateId("Resting");

pub(super) const LOOKUP: Finding = Finding("Lookup");
pub(super) const ADOPTED: Finding = Finding("Adopted");
pub(super) const LEAVING: Finding = Finding("Leaving");
pub(super) const USABLE: Finding = Finding("Usable");
pub(super) const AGED: Finding = Finding("Aged");
pub(super) const EARLY: Finding = Finding("Early");
pub(super) const CURRENT: Finding = Finding("Current");
pub(super) const OUTDATED: Finding = Finding("Outdated");
pub(super) const TOO_SOON: Finding = Finding("TooSoon");
pub(super) const DUE: Finding = Finding("Due");
pub(super) const SAVE_DUE: Finding = Finding("SaveDue");
pub(super) const LOGIN_NEEDED: Finding = Finding("LoginNeeded");
pub(super) const FOUND_FRESH: Finding = Finding("FoundFresh");
pub(super) const FOUND_STALE: Finding = Finding("FoundStale");
pub(super) const FOUND_ENDED: Finding = Finding("FoundEnded");
pub(super) const NO_TOKEN: Finding = Finding("NoToken");
pub(super) const UNREADABLE: Finding = Finding("Unreadable");
pub(super) const LOAD_BROKEN: Finding = Finding("LoadBroken");
pub(super) const CLAIM_BROKEN: Finding = Finding("ClaimBroken");
pub(super) const UNSHARED: Finding = Finding("Unshared");
pub(super) const UNCHANGED: Finding = Finding("Unchanged");
pub(super) const SIBLING_RENEWED: Finding = Finding("SiblingRenewed");
pub(super) const SIBLING_ENDED: Finding = Finding("SiblingEnded");
pub(super) const GONE: Finding = Finding("Gone");
pub(super) const NOT_RENEWABLE: Finding = Finding("NotRenewable");
pub(super) const UNREADY: Finding = Finding("Unready");
pub(super) const RENEWED: Finding = Finding("Renewed");
pub(super) const REVOKED: Finding = Finding("Revoked");
pub(super) const UNCERTAIN: Finding = Finding("Uncertain");
pub(super) const GRANTED: Finding = Finding("Granted");
pub(super) const SAME_REVOKED: Finding = Finding("SameRevoked");
pub(super) const SAME_UNCERTAIN: Finding = Finding("SameUncertain");
pub(super) const STORE_BEHIND: Finding = Finding("StoreBehind");
pub(super) const STORE_TORN: Finding = Finding("StoreTorn");
pub(super) const SAVED: Finding = Finding("Saved");
pub(super) const STORE_MOVED: Finding = Finding("StoreMoved");
pub(super) const UNSAVED: Finding = Finding("Unsaved");
pub(super) const MARKED: Finding = Finding("Marked");
pub(super) const UNMARKED: Finding = Finding("Unmarked");
pub(super) const NOTHING_TO_REVOKE: Finding = Finding("NothingToRevoke");
pub(super) const NOT_REVOKED: Finding = Finding("NotRevoked");
pub(super) const DISCARDED: Finding = Finding("Discarded");
pub(super) const ERASED: Finding = Finding("Erased");
pub(super) const ERASE_BROKEN: Finding = Finding("EraseBroken");
pub(super) const UNPRESENTABLE: Finding = Finding("Unpresentable");
pub(super) const SIGNED_OUT: Finding = Finding("SignedOut");

use EventKind::{
    Acquire, Adopt, Conflict, DelegateFailed, Delegated, Loaded, Reject, Released, Reload, Renew, SignOut, StoreFailed,
    Stored,
};

/// The states and arrows of a token manager.
pub const TABLE: Table = Table {
    machine: "token-manager",
    states: &[
        StateRow::initial(),
        StateRow::live(LOADING, EffectKind::Load),
        StateRow::idle(VACANT),
        StateRow::idle(FRESH),
        StateRow::live(CLAIMING, EffectKind::Claim),
        StateRow::nested(RENEWING, &refresh::TABLE),
        StateRow::nested(ACQUIRING, &client_credentials::TABLE),
        StateRow::live(DELEGATING, EffectKind::Delegate),
        StateRow::live(REREADING, EffectKind::Load),
        StateRow::live(SAVING, EffectKind::Save),
        StateRow::live(MARKING, EffectKind::Save),
        StateRow::nested(REVOKING, &revocation::TABLE),
        StateRow::live(ERASING, EffectKind::Delete),
        StateRow::live(RELEASING, EffectKind::Release),
        StateRow::idle(RESTING),
        StateRow::failed(),
    ],
    rows: &[
        // Nothing is known yet.
        Arrow::new(READY, Acquire, LOOKUP, LOADING),
        Arrow::new(READY, Renew, LOOKUP, LOADING),
        Arrow::new(READY, Reject, LOOKUP, LOADING),
        Arrow::new(READY, Reload, LOOKUP, LOADING),
        Arrow::new(READY, Adopt, ADOPTED, SAVING),
        Arrow::new(READY, Adopt, UNPRESENTABLE, VACANT),
        Arrow::new(READY, SignOut, LEAVING, CLAIMING),
        Arrow::new(LOADING, Loaded, FOUND_FRESH, FRESH),
        Arrow::new(LOADING, Loaded, FOUND_STALE, CLAIMING),
        Arrow::new(LOADING, Loaded, FOUND_ENDED, VACANT),
        Arrow::new(LOADING, Loaded, NO_TOKEN, VACANT),
        Arrow::new(LOADING, Loaded, NO_TOKEN, CLAIMING),
        Arrow::new(LOADING, Loaded, UNREADABLE, RESTING),
        Arrow::new(LOADING, StoreFailed, LOAD_BROKEN, RESTING),
        Arrow::new(LOADING, StoreFailed, UNSHARED, ACQUIRING),
        Arrow::new(LOADING, StoreFailed, UNREADY, RELEASING),
        Arrow::new(LOADING, StoreFailed, UNREADY, SAVING),
        // There is no token.
        Arrow::new(VACANT, Acquire, LOOKUP, LOADING),
        Arrow::new(VACANT, Acquire, USABLE, VACANT),
        Arrow::new(VACANT, Renew, LOOKUP, LOADING),
        Arrow::new(VACANT, Reject, LOOKUP, LOADING),
        Arrow::new(VACANT, Reject, OUTDATED, VACANT),
        Arrow::new(VACANT, Reload, LOOKUP, LOADING),
        Arrow::new(VACANT, Adopt, ADOPTED, SAVING),
        Arrow::new(VACANT, Adopt, UNPRESENTABLE, VACANT),
        Arrow::new(VACANT, SignOut, LEAVING, CLAIMING),
        // There is one.
        Arrow::new(FRESH, Acquire, USABLE, FRESH),
        Arrow::new(FRESH, Acquire, AGED, CLAIMING),
        Arrow::new(FRESH, Acquire, SAVE_DUE, SAVING),
        Arrow::new(FRESH, Renew, EARLY, CLAIMING),
        Arrow::new(FRESH, Renew, TOO_SOON, FRESH),
        Arrow::new(FRESH, Reject, CURRENT, CLAIMING),
        Arrow::new(FRESH, Reject, OUTDATED, FRESH),
        Arrow::new(FRESH, Reject, AGED, CLAIMING),
        Arrow::new(FRESH, Reject, SAVE_DUE, SAVING),
        Arrow::new(FRESH, Reject, TOO_SOON, FRESH),
        Arrow::new(FRESH, Reload, LOOKUP, LOADING),
        Arrow::new(FRESH, Adopt, ADOPTED, SAVING),
        Arrow::new(FRESH, Adopt, UNPRESENTABLE, FRESH),
        Arrow::new(FRESH, SignOut, LEAVING, CLAIMING),
        // The last renewal failed.
        Arrow::new(RESTING, Acquire, TOO_SOON, RESTING),
        Arrow::new(RESTING, Acquire, DUE, CLAIMING),
        Arrow::new(RESTING, Acquire, SAVE_DUE, SAVING),
        Arrow::new(RESTING, Renew, TOO_SOON, RESTING),
        Arrow::new(RESTING, Renew, DUE, CLAIMING),
        Arrow::new(RESTING, Renew, SAVE_DUE, SAVING),
        Arrow::new(RESTING, Reject, TOO_SOON, RESTING),
        Arrow::new(RESTING, Reject, DUE, CLAIMING),
        Arrow::new(RESTING, Reject, SAVE_DUE, SAVING),
        Arrow::new(RESTING, Reload, LOOKUP, LOADING),
        Arrow::new(RESTING, Adopt, ADOPTED, SAVING),
        Arrow::new(RESTING, Adopt, UNPRESENTABLE, RESTING),
        Arrow::new(RESTING, SignOut, LEAVING, CLAIMING),
        // Whoever holds the claim reads what others have left there.
        Arrow::new(CLAIMING, Loaded, UNCHANGED, RENEWING),
        Arrow::new(CLAIMING, Loaded, UNCHANGED, ACQUIRING),
        Arrow::new(CLAIMING, Loaded, UNCHANGED, DELEGATING),
        Arrow::new(CLAIMING, Loaded, UNREADY, RELEASING),
        Arrow::new(CLAIMING, Loaded, UNREADY, SAVING),
        Arrow::new(CLAIMING, Loaded, SIBLING_RENEWED, RELEASING),
        Arrow::new(CLAIMING, Loaded, SIBLING_ENDED, RELEASING),
        Arrow::new(CLAIMING, Loaded, GONE, RELEASING),
        Arrow::new(CLAIMING, Loaded, NOT_RENEWABLE, RELEASING),
        Arrow::new(CLAIMING, Loaded, UNREADABLE, RELEASING),
        Arrow::new(CLAIMING, Loaded, UNREADABLE, SAVING),
        Arrow::new(CLAIMING, Loaded, LEAVING, REVOKING),
        Arrow::new(CLAIMING, Loaded, NOTHING_TO_REVOKE, ERASING),
        Arrow::new(CLAIMING, StoreFailed, CLAIM_BROKEN, RESTING),
        Arrow::new(CLAIMING, StoreFailed, UNSHARED, RENEWING),
        Arrow::new(CLAIMING, StoreFailed, UNSHARED, ACQUIRING),
        Arrow::new(CLAIMING, StoreFailed, UNSHARED, DELEGATING),
        Arrow::new(CLAIMING, StoreFailed, UNREADY, RELEASING),
        Arrow::new(CLAIMING, StoreFailed, UNREADY, SAVING),
        Arrow::new(CLAIMING, StoreFailed, NOT_RENEWABLE, RELEASING),
        Arrow::new(CLAIMING, StoreFailed, LEAVING, REVOKING),
        Arrow::new(CLAIMING, StoreFailed, NOTHING_TO_REVOKE, ERASING),
        // New tokens.
        Arrow::any(RENEWING, RENEWED, SAVING),
        Arrow::any(RENEWING, REVOKED, REREADING),
        Arrow::any(RENEWING, UNCERTAIN, REREADING),
        Arrow::any(RENEWING, BROKEN, RELEASING),
        Arrow::any(RENEWING, BROKEN, SAVING),
        Arrow::any(ACQUIRING, GRANTED, SAVING),
        Arrow::any(ACQUIRING, BROKEN, RELEASING),
        Arrow::any(ACQUIRING, BROKEN, SAVING),
        Arrow::new(DELEGATING, Delegated, GRANTED, SAVING),
        Arrow::new(DELEGATING, Delegated, BROKEN, RELEASING),
        Arrow::new(DELEGATING, Delegated, BROKEN, SAVING),
        Arrow::new(DELEGATING, DelegateFailed, REVOKED, REREADING),
        Arrow::new(DELEGATING, DelegateFailed, BROKEN, RELEASING),
        Arrow::new(DELEGATING, DelegateFailed, BROKEN, SAVING),
        // Doubt: what does the store say?
        Arrow::new(REREADING, Loaded, SIBLING_RENEWED, RELEASING),
        Arrow::new(REREADING, Loaded, SIBLING_ENDED, RELEASING),
        Arrow::new(REREADING, Loaded, SAME_REVOKED, MARKING),
        Arrow::new(REREADING, Loaded, SAME_UNCERTAIN, RENEWING),
        Arrow::new(REREADING, Loaded, UNREADY, RELEASING),
        Arrow::new(REREADING, Loaded, UNREADY, SAVING),
        Arrow::new(REREADING, Loaded, STORE_BEHIND, SAVING),
        Arrow::new(REREADING, Loaded, STORE_TORN, FRESH),
        Arrow::new(REREADING, Loaded, STORE_TORN, RESTING),
        Arrow::new(REREADING, Loaded, GONE, RELEASING),
        Arrow::new(REREADING, Loaded, DISCARDED, REVOKING),
        Arrow::new(REREADING, Loaded, UNREADABLE, RELEASING),
        Arrow::new(REREADING, Loaded, UNREADABLE, SAVING),
        Arrow::new(REREADING, StoreFailed, LOAD_BROKEN, RELEASING),
        Arrow::new(REREADING, StoreFailed, UNSAVED, FRESH),
        Arrow::new(REREADING, StoreFailed, UNSAVED, RESTING),
        Arrow::new(REREADING, StoreFailed, SAME_REVOKED, MARKING),
        Arrow::new(REREADING, StoreFailed, SAME_UNCERTAIN, RENEWING),
        Arrow::new(REREADING, StoreFailed, UNREADY, SAVING),
        // Kept.
        Arrow::new(SAVING, Stored, SAVED, RELEASING),
        Arrow::new(SAVING, Conflict, STORE_MOVED, REREADING),
        Arrow::new(SAVING, StoreFailed, UNSAVED, FRESH),
        Arrow::new(SAVING, StoreFailed, UNSAVED, RESTING),
        Arrow::new(MARKING, Stored, MARKED, RELEASING),
        Arrow::new(MARKING, Conflict, STORE_MOVED, RELEASING),
        Arrow::new(MARKING, StoreFailed, UNMARKED, RELEASING),
        // Given up.
        Arrow::any(REVOKING, REVOKED, ERASING),
        Arrow::any(REVOKING, NOT_REVOKED, ERASING),
        Arrow::any(REVOKING, DISCARDED, RELEASING),
        Arrow::new(ERASING, Stored, ERASED, RELEASING),
        Arrow::new(ERASING, StoreFailed, ERASE_BROKEN, RELEASING),
        // The claim is let go before the caller is answered.
        Arrow::new(RELEASING, Released, USABLE, FRESH),
        Arrow::new(RELEASING, Released, LOGIN_NEEDED, VACANT),
        Arrow::new(RELEASING, Released, SIGNED_OUT, VACANT),
        Arrow::new(RELEASING, Released, BROKEN, RESTING),
    ],
};
