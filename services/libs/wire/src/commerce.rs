//! Carts, checkouts, orders and tickets.

use tradewind_domain::{
    CartAbandoned, CartUpdated, CheckoutDeleted, CheckoutUpdated, Line, OrderCancelled, OrderPlaced, TicketMessaged,
    TicketUpdated,
};

use crate::common::{Wire, field, list, optional, or_blank, required, to_list, to_option, unless_blank, wire_enum};
use crate::error::Mismatch;
use crate::proto;

wire_enum!(TicketStatus { Open, Closed });
wire_enum!(TicketChange { Opened, Updated, Closed });
wire_enum!(Direction { Received, Sent, Note });

impl Wire for Line {
    type Proto = proto::Line;

    fn to_proto(&self) -> proto::Line {
        proto::Line {
            line_id: self.line_id.to_string(),
            variant_id: self.variant_id.to_string(),
            product_id: self.product_id.to_string(),
            sku: self.sku.to_string(),
            title: self.title.to_string(),
            quantity: self.quantity,
            unit_price: to_option(self.unit_price.as_ref()),
        }
    }

    fn from_proto(proto: proto::Line) -> Result<Line, Mismatch> {
        Ok(Line {
            line_id: proto.line_id.into(),
            variant_id: proto.variant_id.into(),
            product_id: proto.product_id.into(),
            sku: proto.sku.into(),
            title: proto.title.into(),
            quantity: proto.quantity,
            unit_price: optional(proto.unit_price, "unit_price")?,
        })
    }
}

impl Wire for CartUpdated {
    type Proto = proto::CartUpdated;

    fn to_proto(&self) -> proto::CartUpdated {
        proto::CartUpdated {
            cart: Some(self.cart.to_proto()),
            digest: self.digest.to_proto(),
            created_at_ms: self.created_at.to_proto(),
            lines: to_list(&self.lines),
            total: to_option(self.total.as_ref()),
            names: to_list(&self.names),
        }
    }

    fn from_proto(proto: proto::CartUpdated) -> Result<CartUpdated, Mismatch> {
        Ok(CartUpdated {
            cart: required(proto.cart, "cart")?,
            digest: field(proto.digest, "digest")?,
            created_at: field(proto.created_at_ms, "created_at_ms")?,
            lines: list(proto.lines, "lines")?,
            total: optional(proto.total, "total")?,
            names: list(proto.names, "names")?,
        })
    }
}

impl Wire for CheckoutUpdated {
    type Proto = proto::CheckoutUpdated;

    fn to_proto(&self) -> proto::CheckoutUpdated {
        proto::CheckoutUpdated {
            checkout: Some(self.checkout.to_proto()),
            digest: self.digest.to_proto(),
            created_at_ms: self.created_at.to_proto(),
            completed_at_ms: or_blank(self.completed_at.as_ref()),
            lines: to_list(&self.lines),
            total: to_option(self.total.as_ref()),
            names: to_list(&self.names),
            email: to_option(self.email.as_ref()),
            phone: to_option(self.phone.as_ref()),
            first_name: to_option(self.first_name.as_ref()),
            recovery_url: to_option(self.recovery_url.as_ref()),
            started: self.started,
        }
    }

    fn from_proto(proto: proto::CheckoutUpdated) -> Result<CheckoutUpdated, Mismatch> {
        Ok(CheckoutUpdated {
            checkout: required(proto.checkout, "checkout")?,
            digest: field(proto.digest, "digest")?,
            created_at: field(proto.created_at_ms, "created_at_ms")?,
            completed_at: unless_blank(proto.completed_at_ms, "completed_at_ms")?,
            lines: list(proto.lines, "lines")?,
            total: optional(proto.total, "total")?,
            names: list(proto.names, "names")?,
            email: optional(proto.email, "email")?,
            phone: optional(proto.phone, "phone")?,
            first_name: optional(proto.first_name, "first_name")?,
            recovery_url: optional(proto.recovery_url, "recovery_url")?,
            started: proto.started,
        })
    }
}

impl Wire for CheckoutDeleted {
    type Proto = proto::CheckoutDeleted;

    fn to_proto(&self) -> proto::CheckoutDeleted {
        proto::CheckoutDeleted { checkout: Some(self.checkout.to_proto()) }
    }

    fn from_proto(proto: proto::CheckoutDeleted) -> Result<CheckoutDeleted, Mismatch> {
        Ok(CheckoutDeleted { checkout: required(proto.checkout, "checkout")? })
    }
}

impl Wire for OrderPlaced {
    type Proto = proto::OrderPlaced;

    fn to_proto(&self) -> proto::OrderPlaced {
        proto::OrderPlaced {
            order: Some(self.order.to_proto()),
            lines: to_list(&self.lines),
            total: to_option(self.total.as_ref()),
            names: to_list(&self.names),
            email: to_option(self.email.as_ref()),
            phone: to_option(self.phone.as_ref()),
            first_name: to_option(self.first_name.as_ref()),
            test: self.test,
            number: self.number.to_string(),
        }
    }

    fn from_proto(proto: proto::OrderPlaced) -> Result<OrderPlaced, Mismatch> {
        Ok(OrderPlaced {
            order: required(proto.order, "order")?,
            lines: list(proto.lines, "lines")?,
            total: optional(proto.total, "total")?,
            names: list(proto.names, "names")?,
            email: optional(proto.email, "email")?,
            phone: optional(proto.phone, "phone")?,
            first_name: optional(proto.first_name, "first_name")?,
            test: proto.test,
            number: proto.number.into(),
        })
    }
}

impl Wire for OrderCancelled {
    type Proto = proto::OrderCancelled;

    fn to_proto(&self) -> proto::OrderCancelled {
        proto::OrderCancelled {
            order: Some(self.order.to_proto()),
            reason: self.reason.to_string(),
            names: to_list(&self.names),
        }
    }

    fn from_proto(proto: proto::OrderCancelled) -> Result<OrderCancelled, Mismatch> {
        Ok(OrderCancelled {
            order: required(proto.order, "order")?,
            reason: proto.reason.into(),
            names: list(proto.names, "names")?,
        })
    }
}

impl Wire for TicketUpdated {
    type Proto = proto::TicketUpdated;

    fn to_proto(&self) -> proto::TicketUpdated {
        proto::TicketUpdated {
            ticket: Some(self.ticket.to_proto()),
            change: self.change.to_proto(),
            status: self.status.to_proto(),
            digest: self.digest.to_proto(),
            created_at_ms: self.created_at.to_proto(),
            channel: self.channel.to_string(),
            names: to_list(&self.names),
            subject: to_option(self.subject.as_ref()),
            email: to_option(self.email.as_ref()),
        }
    }

    fn from_proto(proto: proto::TicketUpdated) -> Result<TicketUpdated, Mismatch> {
        Ok(TicketUpdated {
            ticket: required(proto.ticket, "ticket")?,
            change: field(proto.change, "change")?,
            status: field(proto.status, "status")?,
            digest: field(proto.digest, "digest")?,
            created_at: field(proto.created_at_ms, "created_at_ms")?,
            channel: proto.channel.into(),
            names: list(proto.names, "names")?,
            subject: optional(proto.subject, "subject")?,
            email: optional(proto.email, "email")?,
        })
    }
}

impl Wire for TicketMessaged {
    type Proto = proto::TicketMessaged;

    fn to_proto(&self) -> proto::TicketMessaged {
        proto::TicketMessaged {
            ticket: Some(self.ticket.to_proto()),
            message_id: self.message_id.to_string(),
            direction: self.direction.to_proto(),
            channel: self.channel.to_string(),
            names: to_list(&self.names),
            body: to_option(self.body.as_ref()),
            email: to_option(self.email.as_ref()),
        }
    }

    fn from_proto(proto: proto::TicketMessaged) -> Result<TicketMessaged, Mismatch> {
        Ok(TicketMessaged {
            ticket: required(proto.ticket, "ticket")?,
            message_id: proto.message_id.into(),
            direction: field(proto.direction, "direction")?,
            channel: proto.channel.into(),
            names: list(proto.names, "names")?,
            body: optional(proto.body, "body")?,
            email: optional(proto.email, "email")?,
        })
    }
}

impl Wire for CartAbandoned {
    type Proto = proto::CartAbandoned;

    fn to_proto(&self) -> proto::CartAbandoned {
        proto::CartAbandoned {
            cart: Some(self.cart.to_proto()),
            quiet_since_ms: self.quiet_since.to_proto(),
            cart_fact: self.cart_fact.to_proto(),
        }
    }

    fn from_proto(proto: proto::CartAbandoned) -> Result<CartAbandoned, Mismatch> {
        Ok(CartAbandoned {
            cart: required(proto.cart, "cart")?,
            quiet_since: field(proto.quiet_since_ms, "quiet_since_ms")?,
            cart_fact: field(proto.cart_fact, "cart_fact")?,
        })
    }
}
