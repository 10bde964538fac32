//! Erasure: what was asked, and that it is done.

use tradewind_domain::Body;

use crate::common::{field, list};
use crate::error::Mismatch;
use crate::proto;

pub(crate) fn requested(proto: proto::ErasureRequested) -> Result<Body, Mismatch> {
    Ok(Body::ErasureRequested {
        request: field(proto.request, "request")?,
        entities: list(proto.entities, "entities")?,
        actor: field(proto.actor, "actor")?,
    })
}

pub(crate) fn completed(proto: proto::ErasureCompleted) -> Result<Body, Mismatch> {
    Ok(Body::ErasureCompleted {
        request: field(proto.request, "request")?,
        keys: proto.keys,
        vendors: list(proto.vendors, "vendors")?,
    })
}
