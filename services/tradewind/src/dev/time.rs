//! Stretching the log's time: a fact in each partition says how fast it runs, and
//! whoever acts beside the log reckons by the same rule.

use std::time::Duration;

use tradewind_domain::{Body, ClockAdjusted, Timestamp};
use tradewind_orchestrator::{Desk, Standing};
use tradewind_ports::{Clock as _, Topic};
use tradewind_wire::record::{self, NewFact};

use crate::clock::{Stretched, WallClock};
use crate::failure::Failure;
use crate::ground::Ground;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// From now on the log's time runs `speed` times as fast. Returns the clock that
/// shows it, once the first partition's owner has folded the fact that says so.
pub(super) async fn stretch(ground: &Ground, desks: &[Desk], speed: u32) -> Result<Stretched, Failure> {
    let offsets = adjust(ground, speed)?;
    let (desk, offset) = (&desks[0], offsets[0]);
    loop {
        let desk = desk.clone();
        let standing = tokio::task::spawn_blocking(move || desk.standing()).await.map_err(Failure::stopped)?;
        if let Ok(Standing { as_of, at, log_time, .. }) = standing
            && as_of.offset > offset
        {
            return Ok(Stretched { real_base: at, log_base: log_time, speed });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// While nothing runs, the log's time goes as the wall's does.
pub(super) fn unstretch(ground: &Ground) -> Result<(), Failure> {
    adjust(ground, 1).map(drop)
}

fn adjust(ground: &Ground, speed: u32) -> Result<Vec<u64>, Failure> {
    let now: Timestamp = WallClock.now();
    let adjusted = ClockAdjusted { speed_permille: speed * 1_000, skip_ms: 0 };
    let mut offsets = Vec::new();
    for partition in 0..ground.partitions {
        let record = record::event(&NewFact::of_partition(partition, now, Body::ClockAdjusted(adjusted)));
        let appended = ground.log.append(&Topic::Events.partition(partition), vec![record]);
        offsets.extend(appended.map_err(Failure::unavailable)?);
    }
    Ok(offsets)
}
