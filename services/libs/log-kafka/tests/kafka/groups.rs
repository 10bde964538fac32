//! What the cluster knows of consumer groups is gone, as after a week in which nobody was there.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tradewind_log_kafka::{Change, KafkaLog, Membership};
use tradewind_ports::EventLog as _;

use crate::broker::{Broker, events, record, texts};
use crate::faults::{WHOLE, until};

fn joined(broker: &Broker) -> Membership {
    let mut member = Membership::join(&broker.settings("groups"), "orchestrator", "0").expect("a member");
    let mut owned = Vec::new();
    until("it owns both partitions", || {
        owned.extend(member.poll(Duration::from_millis(100)).expect("poll"));
        owned == [0, 1].map(Change::Assigned)
    });
    member
}

impl Broker {
    fn groups(&self) -> Vec<String> {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.address).create().expect("a client");
        let groups = client.fetch_group_list(None, Duration::from_secs(10)).expect("an answer");
        groups.groups().iter().map(|group| group.name().to_owned()).collect()
    }
}

#[test]
fn nothing_is_lost_when_no_group_is_remembered() {
    let Some(broker) = Broker::start("groups") else { return };
    let log = broker.log("groups");
    let member = joined(&broker);
    log.append(&events(), vec![record("a"), record("b")]).expect("append");
    let read = log.read(&events(), 0, WHOLE).expect("read");
    let position = if texts(&read.records) == ["a", "b"] { read.next } else { panic!("expected both, got {read:?}") };
    drop(member);
    drop(log);

    // A static member is waited for, then its group is empty and can be deleted.
    until("every group is deleted", || {
        let groups = broker.groups();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        if !groups.is_empty() {
            broker.admin(async |admin, options| admin.delete_groups(&groups, options).await).expect("an answer");
        }
        groups.is_empty()
    });
    KafkaLog::connect(broker.settings("groups"))
        .expect("good settings")
        .append(&events(), vec![record("c")])
        .expect("append");

    let _member = joined(&broker);
    let log = KafkaLog::connect(broker.settings("groups")).expect("good settings");
    assert!(log.bounds(&events()).expect("bounds").end > position);
    assert_eq!(texts(&log.read(&events(), position, WHOLE).expect("read").records), ["c"]);
    assert_eq!(texts(&log.read(&events(), 0, WHOLE).expect("read").records), ["a", "b", "c"]);
}
