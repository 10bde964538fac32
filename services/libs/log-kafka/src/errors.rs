//! What librdkafka's errors mean to a caller of the port.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tradewind_ports::LogError;

/// Another producer has taken the transactional id, or a transaction that took too long was ended by the
/// broker; either way the partition is no longer ours.
pub(crate) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch, Code::FencedInstanceId].contains(&code)
}

/// The record itself is at fault: it won't fit the next time either.
pub(crate) fn is_refused(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    [Code::MessageSizeTooLarge, Code::MessageBatchTooLarge, Code::InvalidMessageSize, Code::InvalidRecord]
        .contains(&code)
}

pub(crate) fn unavailable(doing: &str, error: &KafkaError) -> LogError {
    LogError::Unavailable { reason: format!("{doing}: {error}") }
}

/// The partition has no leader now, or the client hasn't heard of it; it will.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let passing =
        [Code::NotLeaderForPartition, Code::LeaderNotAvailable, Code::UnknownTopicOrPartition, Code::UnknownPartition];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}

/// Nobody answered in the time given, or nobody is there who could.
pub(crate) fn is_unheard(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    error.rdkafka_error_code().is_some_and(|code| [Code::OperationTimedOut, Code::AllBrokersDown].contains(&code))
}
