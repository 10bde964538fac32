//! Facts about the log itself.

use tradewind_domain::{ClockAdjusted, GapClosed, GapOpened, IngestAlive, LineageOpened};

use crate::common::{Wire, field, list, or_blank, to_list, unless_blank, wire_enum};
use crate::error::Mismatch;
use crate::proto;

wire_enum!(LineageKind { Dev, Production });

impl Wire for LineageOpened {
    type Proto = proto::LineageOpened;

    fn to_proto(&self) -> proto::LineageOpened {
        proto::LineageOpened { lineage: self.lineage.to_proto(), kind: self.kind.to_proto() }
    }

    fn from_proto(proto: proto::LineageOpened) -> Result<LineageOpened, Mismatch> {
        Ok(LineageOpened { lineage: field(proto.lineage, "lineage")?, kind: field(proto.kind, "kind")? })
    }
}

impl Wire for IngestAlive {
    type Proto = proto::IngestAlive;

    fn to_proto(&self) -> proto::IngestAlive {
        proto::IngestAlive { vendors: to_list(&self.vendors) }
    }

    fn from_proto(proto: proto::IngestAlive) -> Result<IngestAlive, Mismatch> {
        Ok(IngestAlive { vendors: list(proto.vendors, "vendors")? })
    }
}

impl Wire for GapOpened {
    type Proto = proto::GapOpened;

    fn to_proto(&self) -> proto::GapOpened {
        proto::GapOpened {
            vendor: self.vendor.to_proto(),
            connection: or_blank(self.connection.as_ref()),
            from_ms: self.from.to_proto(),
        }
    }

    fn from_proto(proto: proto::GapOpened) -> Result<GapOpened, Mismatch> {
        Ok(GapOpened {
            vendor: field(proto.vendor, "vendor")?,
            connection: unless_blank(proto.connection, "connection")?,
            from: field(proto.from_ms, "from_ms")?,
        })
    }
}

impl Wire for GapClosed {
    type Proto = proto::GapClosed;

    fn to_proto(&self) -> proto::GapClosed {
        proto::GapClosed {
            vendor: self.vendor.to_proto(),
            connection: or_blank(self.connection.as_ref()),
            until_ms: self.until.to_proto(),
        }
    }

    fn from_proto(proto: proto::GapClosed) -> Result<GapClosed, Mismatch> {
        Ok(GapClosed {
            vendor: field(proto.vendor, "vendor")?,
            connection: unless_blank(proto.connection, "connection")?,
            until: field(proto.until_ms, "until_ms")?,
        })
    }
}

impl Wire for ClockAdjusted {
    type Proto = proto::ClockAdjusted;

    fn to_proto(&self) -> proto::ClockAdjusted {
        proto::ClockAdjusted { speed_permille: self.speed_permille, skip_ms: self.skip_ms }
    }

    fn from_proto(proto: proto::ClockAdjusted) -> Result<ClockAdjusted, Mismatch> {
        Ok(ClockAdjusted { speed_permille: proto.speed_permille, skip_ms: proto.skip_ms })
    }
}
