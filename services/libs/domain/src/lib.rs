//! The vocabulary every other crate speaks: what happened (facts), what was
//! concluded (decisions and their transitions), what is asked of a vendor
//! (commands) and what became of it (outcomes).
//!
//! Nothing here does IO, reads a clock or draws a number. Ids are derived from
//! content, so that the same fact delivered twice is the same fact.

#![forbid(unsafe_code)]

mod command;
mod control;
mod decision;
mod delivery;
mod directory;
mod entity;
mod envelope;
mod fact;
mod hash;
mod id;
mod ingest;
mod ledger;
mod money;
mod name;
mod outcome;
mod placement;
mod sealed;
mod share;
mod time;

pub use command::{Capability, Change, Command, CommandBody, CommandClass, MessageLine, MessageSend};
pub use control::{
    ApprovalDecided, BindingSet, ConnectionChanged, DefinitionActivated, FactUnparked, InstanceUnparked, Intake,
    Lifecycle, Scope, SettingSet, SwitchSet,
};
pub use decision::{
    Alternative, Choice, Decision, DecisionRecord, FactParked, Feature, InstanceParked, Parked, ParkedAt, Transition,
    TurnCommitted,
};
pub use delivery::{DeadLetter, Header, RawDelivery};
pub use directory::{ConnectionEntry, DefinitionStored, DirectoryEntry, DirectoryValue, OwnerEntry, TenantEntry};
pub use entity::{EntityId, EntityKey, EntityKind, IdentifierHash, NORMALISATION_VERSION, Pepper};
pub use envelope::{Arrival, Cause, Envelope, Source};
pub use fact::{
    Body, CartAbandoned, CartUpdated, CheckoutDeleted, CheckoutUpdated, Direction, Fact, Line, OrderCancelled,
    OrderPlaced, TicketChange, TicketMessaged, TicketStatus, TicketUpdated,
};
pub use hash::{Digest, Hasher, derive};
pub use id::{CommandId, DecisionId, DefinitionHash, FactId, FactIdentity, InstanceId, KeyId, Lineage, WakeupId};
pub use ingest::{ClockAdjusted, GapClosed, GapOpened, IngestAlive, LineageKind, LineageOpened};
pub use ledger::{Claimed, LedgerEntry, LedgerPosition, StepAnswered, Verdict, ledger_answer_key};
pub use money::{Currency, Money, MoneyError};
pub use name::{Account, ConnectionName, Name, NameError, Tenant, Vendor};
pub use outcome::{Outcome, OutcomeState, Resolution};
pub use placement::{murmur2, partition_of};
pub use sealed::{Sealed, key_owner_digest, seal_associated_data, seal_nonce};
pub use share::Share;
pub use time::{Position, Timestamp};
