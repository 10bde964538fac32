//! Vaults of several processes over one log.

mod processes;

use std::fs;
use std::sync::atomic::Ordering;

use processes::{HOUR_MS, Installation, contains, demo, owner};
use tradewind_domain::Tenant;
use tradewind_ports::{KeyVault as _, NewRecord, Topic, VaultError};
use tradewind_simulation::{Fault, Operation};
use tradewind_vault::{FileVault, Rebuilt, TopicVault};

#[test]
fn two_processes_give_one_owner_one_key() {
    let installation = Installation::new();
    let (a, b) = (installation.open("a"), installation.open("b"));
    let key = a.key_of(&demo(), &owner(1)).unwrap();
    let same = b.key_of(&demo(), &owner(1)).unwrap();
    assert_eq!((same.id, same.key), (key.id, key.key));
    let other_tenant = b.key_of(&Tenant::new("other").unwrap(), &owner(1)).unwrap();
    assert_ne!(other_tenant.key, key.key);
    // Whoever reads a sealed field finds its key without having followed.
    assert_eq!(a.key(other_tenant.id).unwrap().unwrap().key, other_tenant.key);
    assert_eq!(installation.on_topic().len(), 2);
}

#[test]
fn of_two_keys_made_at_once_all_use_the_one_that_is_first_on_the_topic() {
    let installation = Installation::new();
    let (a, b) = (installation.open("a"), installation.open("b"));
    let first = installation.race(&a, |a| a.key_of(&demo(), &owner(1)).unwrap(), {
        let b = &b;
        move || _ = b.key_of(&demo(), &owner(1)).unwrap()
    });
    let records = installation.on_topic();
    assert_eq!(records.len(), 2, "both are kept");
    let ids: Vec<_> = records.iter().map(processes::id).collect();
    assert_eq!(first.id, ids[0]);
    let c = installation.open("c");
    for vault in [&a, &b, &c] {
        assert_eq!(vault.key_of(&demo(), &owner(1)).unwrap().key, first.key);
        assert!(vault.key(ids[1]).unwrap().is_some(), "what was sealed with the other can be opened");
    }

    // As when an erasure met only the first of them: those who saw it and those who did not agree.
    installation.log().append(&Topic::Keys.partition(0), vec![processes::tombstone(ids[0])]).unwrap();
    let d = installation.open("d");
    for vault in [&a, &b, &c, &d] {
        vault.follow().unwrap();
        assert!(vault.key(ids[0]).unwrap().is_none());
        assert_eq!(vault.key_of(&demo(), &owner(1)).unwrap().id, ids[1]);
    }
    assert_eq!(installation.on_topic().len(), 3);
}

#[test]
fn an_erased_key_is_gone_everywhere_and_its_owner_gets_another() {
    let installation = Installation::new();
    let (a, b) = (installation.open("a"), installation.open("b"));
    let key = a.key_of(&demo(), &owner(1)).unwrap();
    let kept = a.key_of(&demo(), &owner(2)).unwrap();
    b.follow().unwrap();
    let wrapped = processes::wrapped(&installation.on_topic()[0]);
    let at_hand = |vault: &TopicVault, number| vault.at_hand(&demo(), &owner(number)).map(|key| key.id);
    b.key_of(&demo(), &owner(1)).unwrap();
    assert_eq!([at_hand(&a, 1), at_hand(&b, 1), at_hand(&b, 2)], [Some(key.id), Some(key.id), None]);
    assert_eq!(a.erase(&demo(), &owner(1)).unwrap(), 1);
    assert_eq!(a.erase(&demo(), &owner(1)).unwrap(), 0);
    assert!(a.key(key.id).unwrap().is_none());
    b.follow().unwrap();
    assert_eq!([at_hand(&a, 1), at_hand(&b, 1), at_hand(&a, 2)], [None, None, Some(kept.id)]);
    assert!(b.key(key.id).unwrap().is_none());
    let another = b.key_of(&demo(), &owner(1)).unwrap();
    assert_ne!(another.key, key.key);
    assert_eq!(a.key_of(&demo(), &owner(1)).unwrap().key, another.key);
    // Given to nobody, and soon gone from the files.
    for (vault, name) in [(&a, "a"), (&b, "b")] {
        assert!(contains(&installation.path(name), &wrapped));
        installation.pass(HOUR_MS);
        vault.follow().unwrap();
        assert!(!contains(&installation.path(name), &wrapped));
        for key in [&kept, &another] {
            assert_eq!(vault.key(key.id).unwrap().unwrap().key, key.key);
        }
    }
}

#[test]
fn both_keys_of_an_owner_are_erased_also_one_made_meanwhile() {
    let installation = Installation::new();
    let (a, b) = (installation.open("a"), installation.open("b"));
    a.key_of(&demo(), &owner(1)).unwrap();
    // Made by a process that had not yet seen the first.
    let second = installation.entry(1);
    let erased = installation.race(&a, |a| a.erase(&demo(), &owner(1)).unwrap(), {
        let log = installation.log();
        move || _ = log.append(&Topic::Keys.partition(0), vec![second]).unwrap()
    });
    assert_eq!(erased, 2);
    for vault in [&a, &b] {
        for record in installation.on_topic() {
            vault.follow().unwrap();
            assert!(vault.key(processes::id(&record)).unwrap().is_none());
        }
    }
}

#[test]
fn a_file_that_ends_before_it_was_rewritten_is_rewritten_when_it_is_opened() {
    let installation = Installation::new();
    let a = installation.open("a");
    let key = a.key_of(&demo(), &owner(1)).unwrap();
    let wrapped = processes::wrapped(&installation.on_topic()[0]);
    a.erase(&demo(), &owner(1)).unwrap();
    drop(a);
    assert!(contains(&installation.path("a"), &wrapped));
    let a = installation.open("a");
    assert!(!contains(&installation.path("a"), &wrapped));
    assert!(a.key(key.id).unwrap().is_none());
}

#[test]
fn a_copy_that_may_have_missed_a_tombstone_is_read_anew() {
    for (asleep_ms, is_running) in
        [(11 * HOUR_MS, false), (13 * HOUR_MS, false), (13 * HOUR_MS, true), (-2 * HOUR_MS, false)]
    {
        let installation = Installation::new();
        let (a, mut b) = (installation.open("a"), Some(installation.open("b")));
        let key = a.key_of(&demo(), &owner(1)).unwrap();
        let kept = a.key_of(&demo(), &owner(2)).unwrap();
        let asleep = b.take().unwrap();
        asleep.follow().unwrap();
        let asleep = is_running.then_some(asleep);
        a.erase(&demo(), &owner(1)).unwrap();
        installation.pass(asleep_ms);
        let is_missed = asleep_ms != 11 * HOUR_MS;
        if is_missed {
            // The topic was cleaned up: of that key nothing is left, not even its end.
            installation.clean(&[0, 2]);
        }
        let (b, rebuilt) = match asleep {
            Some(b) => (b, None),
            None => {
                let followed = installation.try_open("b").unwrap();
                (followed.vault, followed.rebuilt)
            }
        };
        b.follow().unwrap();
        assert!(b.key(key.id).unwrap().is_none(), "after {asleep_ms} ms");
        assert_eq!(b.key(kept.id).unwrap().unwrap().key, kept.key);
        let expected = (is_missed && !is_running).then_some(Rebuilt::OutOfStep);
        assert_eq!(rebuilt, expected, "after {asleep_ms} ms");
    }
}

#[test]
fn a_quiet_topic_keeps_a_copy_in_step() {
    let installation = Installation::new();
    let a = installation.open("a");
    a.key_of(&demo(), &owner(1)).unwrap();
    for _ in 0..20 {
        installation.pass(HOUR_MS);
        a.follow().unwrap();
    }
    drop(a);
    assert_eq!(installation.try_open("a").unwrap().rebuilt, None);
}

#[test]
fn a_key_that_is_not_acknowledged_is_given_to_nobody() {
    for (fault, on_topic) in [(Fault::LoseRequest, 0), (Fault::LoseResponse, 1)] {
        let installation = Installation::new();
        let requests = installation.requests(|a| _ = a.key_of(&demo(), &owner(1)).unwrap());
        let append = requests.iter().position(|request| *request == Operation::Append).unwrap();
        let installation = Installation::new();
        let a = installation.open_with("a", &[(append, fault)]).unwrap();
        assert!(matches!(a.key_of(&demo(), &owner(1)), Err(VaultError::Unavailable { .. })));
        assert_eq!(installation.on_topic().len(), on_topic);
        // Whoever asks again gets the one that came through after all, and no second one.
        let key = a.key_of(&demo(), &owner(1)).unwrap();
        assert_eq!(installation.on_topic().len(), 1);
        assert_eq!(installation.open("b").key_of(&demo(), &owner(1)).unwrap().key, key.key);
    }
}

/// Whatever request is lost: an error, and all is well when it is tried again.
#[test]
fn a_request_that_is_lost_does_no_harm() {
    let script = |installation: &Installation, plan: &[(usize, Fault)]| {
        let mut errors = 0;
        let mut retry = |attempt: &mut dyn FnMut() -> Result<(), VaultError>| {
            while let Err(error) = attempt() {
                assert!(matches!(error, VaultError::Unavailable { .. }), "{error}");
                errors += 1;
            }
        };
        let mut a = Err(VaultError::Unavailable { reason: String::new() });
        let mut plans = [plan].into_iter();
        retry(&mut || {
            a = installation.open_with("a", plans.next().unwrap_or_default());
            match &a {
                Ok(_) => Ok(()),
                Err(error) => Err(VaultError::Unavailable { reason: error.to_string() }),
            }
        });
        let a = a.unwrap();
        retry(&mut || a.key_of(&demo(), &owner(1)).map(drop));
        retry(&mut || a.key_of(&demo(), &owner(2)).map(drop));
        retry(&mut || a.erase(&demo(), &owner(1)).map(drop));
        retry(&mut || a.key(processes::id(&installation.on_topic()[0])).map(|key| assert!(key.is_none())));
        let second = a.key_of(&demo(), &owner(2)).unwrap();
        let b = installation.open("b");
        assert_eq!(b.key_of(&demo(), &owner(2)).unwrap().key, second.key);
        assert!(b.key(processes::id(&installation.on_topic()[0])).unwrap().is_none());
        errors
    };
    let installation = Installation::new();
    assert_eq!(script(&installation, &[]), 0);
    let requests = Installation::new().requests(|a| {
        a.key_of(&demo(), &owner(1)).unwrap();
        a.key_of(&demo(), &owner(2)).unwrap();
        a.erase(&demo(), &owner(1)).unwrap();
    });
    for request in 0..requests.len() {
        for fault in [Fault::LoseRequest, Fault::LoseResponse] {
            assert_eq!(script(&Installation::new(), &[(request, fault)]), 1, "{fault:?} at {request}");
        }
    }
}

#[test]
fn threads_share_their_requests_and_agree() {
    let installation = Installation::new();
    let (a, b) = (installation.open("a"), installation.open("b"));
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let vault = if thread % 2 == 0 { &a } else { &b };
            scope.spawn(move || {
                for number in 0..20 {
                    let key = vault.key_of(&demo(), &owner(number)).unwrap();
                    assert_eq!(vault.key(key.id).unwrap().unwrap().key, key.key);
                }
            });
        }
    });
    for number in 0..20 {
        let key = a.key_of(&demo(), &owner(number)).unwrap();
        assert_eq!(b.key_of(&demo(), &owner(number)).unwrap().id, key.id);
    }
}

#[test]
fn another_log_is_refused_and_the_copy_left_alone() {
    let installation = Installation::new();
    let a = installation.open("a");
    a.key_of(&demo(), &owner(1)).unwrap();
    a.key_of(&demo(), &owner(2)).unwrap();
    drop(a);
    let before = fs::read(installation.path("a")).unwrap();
    for (keys, expected) in [(0, "it ends at 0, before offset 2"), (3, "it holds another key at offset 1")] {
        let other = installation.with_another_log();
        let b = other.open("b");
        (0..keys).for_each(|number| _ = b.key_of(&demo(), &owner(number)).unwrap());
        let error = other.try_open("a").unwrap_err();
        let VaultError::Unavailable { reason } = &error else { panic!("{error}") };
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(fs::read(installation.path("a")).unwrap(), before);
    }
    drop(installation.open("a"));
}

#[test]
fn a_log_that_shrinks_under_a_running_process_is_refused() {
    let installation = Installation::new();
    let a = installation.open("a");
    let key = a.key_of(&demo(), &owner(1)).unwrap();
    installation.shrink_to(0);
    for _ in 0..2 {
        let error = a.follow().unwrap_err().to_string();
        assert!(error.contains("it ends at 0, before offset 1"), "{error}");
    }
    // What it has, it gives.
    assert_eq!(a.key(key.id).unwrap().unwrap().key, key.key);
}

#[test]
fn keys_that_were_deleted_from_the_topic_are_damage() {
    let installation = Installation::new();
    drop(installation.open("a"));
    let b = installation.open("b");
    (0..3).for_each(|number| _ = b.key_of(&demo(), &owner(number)).unwrap());
    installation.retain_from(2);
    assert!(matches!(installation.try_open("a"), Err(VaultError::Damaged { .. })));
}

/// It rolls the segment, so that erased keys are cleaned away for good.
#[test]
fn a_beat_says_nothing_about_keys() {
    let installation = Installation::new();
    let a = installation.open("a");
    let key = a.key_of(&demo(), &owner(1)).unwrap();
    let beat = |value| NewRecord { key: b"beat".to_vec(), value, ..installation.entry(2) };
    let beats = vec![beat(Some(vec![0xff; 9])), beat(None), beat(Some(vec![]))];
    installation.log().append(&Topic::Keys.partition(0), beats).unwrap();
    a.follow().unwrap();
    assert_eq!(a.key_of(&demo(), &owner(1)).unwrap().id, key.id);
    drop(a);
    let again = installation.open("a");
    assert_eq!(again.key_of(&demo(), &owner(1)).unwrap().id, key.id);
    assert!(installation.open("b").key_of(&demo(), &owner(2)).is_ok());
}

#[test]
fn what_is_no_key_entry_stops_the_vault_with_its_place() {
    let installation = Installation::new();
    let a = installation.open("a");
    a.key_of(&demo(), &owner(1)).unwrap();
    let mixed_up = NewRecord { key: vec![7; 16], ..installation.entry(2) };
    let no_id = NewRecord { key: b"demo".to_vec(), ..installation.entry(2) };
    let garbage = NewRecord { value: Some(vec![0xff; 9]), ..installation.entry(2) };
    for record in [mixed_up, no_id, garbage] {
        let offset = installation.log().append(&Topic::Keys.partition(0), vec![record]).unwrap()[0];
        let error = a.follow().unwrap_err();
        let place = format!("tradewind.keys[0] at offset {offset}");
        assert!(matches!(&error, VaultError::Damaged { reason } if reason.contains(&place)), "{error}");
        assert!(a.key_of(&demo(), &owner(1)).is_ok());
        installation.clean(&[offset]);
    }
    a.follow().unwrap();
}

#[test]
fn another_installation_key_is_refused() {
    let installation = Installation::new();
    installation.open("a").key_of(&demo(), &owner(1)).unwrap();
    let before = fs::read(installation.path("a")).unwrap();
    let other = installation.with_another_key();
    for name in ["a", "b"] {
        let error = other.try_open(name).unwrap_err().to_string();
        assert!(error.contains("another installation key"), "{error}");
    }
    assert_eq!(fs::read(installation.path("a")).unwrap(), before);
    installation.open("a");
}

#[test]
fn one_process_has_a_copy_for_itself() {
    let installation = Installation::new();
    let a = installation.open("a");
    let key = a.key_of(&demo(), &owner(1)).unwrap();
    assert!(matches!(installation.try_open("a"), Err(VaultError::Unavailable { .. })));
    assert!(!contains(&installation.path("a"), &key.key), "a key stands in clear");
    drop(a);
    // A copy is no vault: it may be behind.
    let opened = FileVault::open(&installation.path("a"), installation.key(), installation.clock());
    assert!(matches!(opened, Err(VaultError::Damaged { .. })));
}

#[test]
fn reading_a_long_topic_goes_on_where_it_was_interrupted() {
    let installation = Installation::new();
    let records =
        installation.entries((0..6_000_u16).map(|number| [number.to_be_bytes(); 16].concat().try_into().unwrap()));
    let last = processes::key_id(&records[5_999]);
    installation.log().append(&Topic::Keys.partition(0), records).unwrap();
    installation.reads_left.store(1, Ordering::SeqCst);
    assert!(matches!(installation.try_open("a"), Err(VaultError::Unavailable { .. })));
    installation.reads_left.store(usize::MAX, Ordering::SeqCst);
    installation.read_from.lock().unwrap().clear();
    let a = installation.open("a");
    assert!(a.key(last).unwrap().is_some());
    assert!(installation.read_from.lock().unwrap().iter().all(|from| *from > 4_000));
}
