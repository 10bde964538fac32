//! The calls of librdkafka that rdkafka doesn't offer. The only unsafe code of the repository, so that
//! it can be read at one sitting.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_brokers_add, rd_kafka_flush, rd_kafka_message_status, rd_kafka_msg_status_t, rd_kafka_resp_err_t,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

/// Sends what is queued and waits for its acknowledgements; whether all of them came in time.
///
/// rdkafka's own `flush` polls between two looks, and since 0.38 a poll lasts its whole time-out of 100 ms whatever
/// happens meanwhile: every transaction would take that long.
pub(crate) fn flush<C: ProducerContext>(producer: &BaseProducer<C>, timeout: Duration) -> bool {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the pointer is that of a live client, which the borrow keeps alive; librdkafka's clients may be
    // called from any thread. With delivery reports as events (rdkafka always asks for them so), this only waits on
    // a condition variable and runs no callback.
    let answer = unsafe { rd_kafka_flush(producer.client().native_ptr(), timeout_ms) };
    answer == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Tells a client its first brokers again; those it knows are left as they are.
///
/// A client that has learned its brokers forgets those that an answer of one of them doesn't name, the first ones too. Where
/// all brokers are just starting, the answer names none: then the client knows nobody to ask, and librdkafka, whose
/// recovery begins with a question, is silent for ever.
pub(crate) fn remind<C: ClientContext>(client: &Client<C>, bootstrap: &str) {
    let Ok(bootstrap) = CString::new(bootstrap) else { return };
    // SAFETY: both pointers are of values that live until the call returns, the second one ends with a zero byte, and
    // librdkafka keeps a copy of it. Its clients may be called from any thread.
    unsafe { rd_kafka_brokers_add(client.native_ptr(), bootstrap.as_ptr()) };
}

/// Whether the message of a delivery report is certainly not on the log: it was never sent, or a broker refused it.
pub(crate) fn is_certainly_not_stored(message: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the pointer is that of the message borrowed, which the event it came with keeps alive; the call
    // reads one field.
    let status = unsafe { rd_kafka_message_status(message.ptr()) };
    status == rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED
}
