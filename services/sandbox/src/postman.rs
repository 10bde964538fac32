//! The loop that carries life out: what happens becomes letters, letters become
//! requests, answers go back to the courier.

use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::chance::Chance;
use crate::clock::Clock;
use crate::courier::{Answer, Attempt, Courier, Due, Letter, Sender};
use crate::desk::{self, Desk};
use crate::life::{Happening, Life};
use crate::locked;
use crate::settings::{DeskSettings, ShopFaults, ShopSettings};
use crate::shop::{self, Signer};

/// Requests under way at a time. When all are, what is due waits.
const IN_FLIGHT_MAX: usize = 64;

/// How long the shop takes to begin with a delivery.
const PROMPT_MS: (i64, i64) = (50, 900);
const REORDERED_MS: (i64, i64) = (2_000, 45_000);
const DELAYED_MS: (i64, i64) = (60_000, 4 * 3_600_000);

/// What carries a request and brings back what it came to.
pub(crate) trait Transport: Clone + Send + Sync + 'static {
    fn post(&self, request: Post) -> impl Future<Output = Answer> + Send;
}

#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) sender: Sender,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// The shop's own side of its webhooks.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) settings: ShopSettings,
    pub(crate) signer: Signer,
}

#[derive(Debug)]
pub(crate) struct Postman {
    pub(crate) seed: u64,
    pub(crate) life: Life,
    pub(crate) clock: Clock,
    pub(crate) courier: Arc<Mutex<Courier>>,
    pub(crate) shop: Option<Shop>,
    pub(crate) desk: Option<Arc<Mutex<Desk>>>,
}

impl Postman {
    /// Until it is told to stop, or its turn to be told is gone. Requests under way
    /// are waited for, so that the ledger ends complete.
    pub(crate) async fn run<T: Transport>(
        mut self,
        transport: T,
        finished: watch::Sender<bool>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut under_way: JoinSet<(u64, Attempt)> = JoinSet::new();
        loop {
            // In order of time; when every slot is taken, life waits as well.
            while under_way.len() < IN_FLIGHT_MAX {
                let now_ms = self.clock.now_ms();
                let next_due_ms = locked(&self.courier).next_due_ms();
                let lives_at_ms = self.life.next_at_ms().filter(|at_ms| *at_ms <= now_ms);
                if lives_at_ms.is_some_and(|at_ms| next_due_ms.is_none_or(|due_ms| at_ms <= due_ms)) {
                    self.live();
                    continue;
                }
                let Some(due) = locked(&self.courier).next_due(now_ms) else { break };
                let (transport, clock, post) = (transport.clone(), self.clock.clone(), self.post(&due, now_ms));
                under_way.spawn(async move {
                    let answer = transport.post(post).await;
                    (due.number, Attempt { sent_at_ms: now_ms, settled_at_ms: clock.now_ms(), answer })
                });
            }
            let next_life_ms = self.life.next_at_ms();
            let (next_due_ms, is_idle) = {
                let courier = locked(&self.courier);
                (courier.next_due_ms(), courier.is_idle())
            };
            finished.send_if_modified(|is_finished| {
                let is_now = next_life_ms.is_none() && is_idle;
                std::mem::replace(is_finished, is_now) != is_now
            });
            let has_room = under_way.len() < IN_FLIGHT_MAX;
            let next_ms = next_life_ms.into_iter().chain(next_due_ms).min().filter(|_| has_room);
            let wake_at = next_ms.map(|next_ms| self.clock.instant(next_ms));
            tokio::select! {
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
                Some(settled) = under_way.join_next(), if !under_way.is_empty() => {
                    let (number, attempt) = settled.expect("an attempt doesn't panic");
                    locked(&self.courier).answered(number, attempt);
                }
                _ = stop.changed() => break,
            }
        }
        while let Some(settled) = under_way.join_next().await {
            let (number, attempt) = settled.expect("an attempt doesn't panic");
            locked(&self.courier).answered(number, attempt);
        }
    }

    /// The next thing that happens, and the letters that tell of it.
    fn live(&mut self) {
        let Some(happening) = self.life.next() else { return };
        if let Some(shop) = &self.shop {
            take_on(&self.courier, shop_letters(self.seed, &shop.settings, &happening));
        }
        if let Some(desk) = &self.desk {
            take_on(&self.courier, desk_letters(self.seed, &mut locked(desk), &happening));
        }
    }

    fn post(&self, due: &Due, now_ms: i64) -> Post {
        let letter = &due.letter;
        let mut headers = letter.headers.clone();
        if let (Sender::Shop, Some(shop)) = (letter.sender, &self.shop) {
            let (newer, body) = (letter.is_newer, &letter.body);
            headers.push(shop.signer.header(newer, body, &letter.webhook_id, due.attempt, now_ms));
        }
        Post { sender: letter.sender, headers, body: letter.body.clone() }
    }
}

/// Each with the time it is due; all but the first are copies of the first.
fn take_on(courier: &Mutex<Courier>, letters: Vec<(Letter, i64)>) {
    let mut courier = locked(courier);
    let mut original = None;
    for (letter, due_ms) in letters {
        let number = courier.take_on(letter, due_ms, original);
        original.get_or_insert(number);
    }
}

/// The webhook of a happening and, if chance will have it, its copy.
fn shop_letters(seed: u64, settings: &ShopSettings, happening: &Happening) -> Vec<(Letter, i64)> {
    let name: [&[u8]; 2] = [happening.visit.cart_token.as_bytes(), &happening.number.to_be_bytes()];
    let mut chance = Chance::of(seed, "webhook", &name);
    let ShopFaults { duplicated, reordered, delayed, escaped, newer_headers } = settings.faults;
    let (is_escaped, is_newer) = (chance.per_mille(escaped), chance.per_mille(newer_headers));
    let Some((topic, object, body)) = shop::body(happening, &settings.domain, is_escaped) else { return Vec::new() };
    let (webhook_id, event_id) = (chance.uuid(), chance.uuid());
    let at_ms = happening.at_ms;
    let with_id = |webhook_id: String| Letter {
        sender: Sender::Shop,
        line: topic.as_str(),
        headers: shop::headers(is_newer, topic.as_str(), &settings.domain, &webhook_id, &event_id, at_ms),
        webhook_id,
        event_id: event_id.clone(),
        object: object.clone(),
        triggered_at_ms: at_ms,
        is_newer,
        body: Bytes::from(body.clone()),
    };
    let due_ms = at_ms + pause_ms(&mut chance, reordered, delayed);
    let mut letters = vec![(with_id(webhook_id.clone()), due_ms)];
    if chance.per_mille(duplicated) {
        let copy_id = if chance.per_mille(500) { webhook_id } else { chance.uuid() };
        let copy_due_ms = due_ms + chance.span_ms(0, 30_000);
        letters.push((with_id(copy_id), copy_due_ms));
    }
    letters
}

/// From now on the ticket is as far as the letter tells.
fn desk_letters(seed: u64, desk: &mut Desk, happening: &Happening) -> Vec<(Letter, i64)> {
    let DeskSettings { domain, token, faults, .. } = desk.settings();
    let Some((trigger, ticket, stage, body)) = desk::delivery(happening, domain, seed) else { return Vec::new() };
    let object = ticket.id.to_string();
    let mut chance = Chance::of(seed, "integration", &[object.as_bytes(), trigger.as_str().as_bytes()]);
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", "gorgias-http-integration"),
        ("X-Tradewind-Token", token.as_str()),
        ("X-Tradewind-Trigger", trigger.as_str()),
    ];
    let letter = Letter {
        sender: Sender::Desk,
        line: trigger.as_str(),
        webhook_id: String::new(),
        event_id: String::new(),
        object,
        triggered_at_ms: happening.at_ms,
        is_newer: false,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: Bytes::from(body),
    };
    let due_ms = happening.at_ms + pause_ms(&mut chance, faults.reordered, 0);
    let mut letters = vec![(letter.clone(), due_ms)];
    if chance.per_mille(faults.duplicated) {
        letters.push((letter, due_ms + chance.span_ms(0, 30_000)));
    }
    desk.set(&happening.visit, ticket, stage);
    letters
}

fn pause_ms(chance: &mut Chance, reordered: u16, delayed: u16) -> i64 {
    let prompt_ms = chance.span_ms(PROMPT_MS.0, PROMPT_MS.1);
    let (is_reordered, is_delayed) = (chance.per_mille(reordered), chance.per_mille(delayed));
    match (is_delayed, is_reordered) {
        (true, _) => chance.span_ms(DELAYED_MS.0, DELAYED_MS.1),
        (false, true) => chance.span_ms(REORDERED_MS.0, REORDERED_MS.1),
        (false, false) => prompt_ms,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::courier::{Delivery, DeliveryState};
    use crate::life::Plan;
    use crate::settings::Subscriptions;

    const STARTED_AT_MS: i64 = 1_795_428_000_000;

    /// Answers by the sandbox's time, and keeps what it was sent.
    #[derive(Clone)]
    struct Scripted {
        clock: Clock,
        answer: fn(i64) -> Answer,
        posts: Arc<Mutex<Vec<Post>>>,
    }

    impl Transport for Scripted {
        async fn post(&self, request: Post) -> Answer {
            locked(&self.posts).push(request);
            (self.answer)(self.clock.now_ms() - STARTED_AT_MS)
        }
    }

    /// A whole run, at paused time: the ledger, and what was posted.
    async fn run(seed: u64, visits: u64, faults: ShopFaults, answer: fn(i64) -> Answer) -> (Vec<Delivery>, Vec<Post>) {
        let shop = ShopSettings {
            faults,
            old_secret: Some("old".into()),
            subscriptions: Subscriptions::OfTheApp,
            ..ShopSettings::new("http://127.0.0.1:1/", "demo.myshopify.com", "new".into())
        };
        let desk = DeskSettings::new("http://127.0.0.1:1/", "demo", "token".into(), "a@example.com:key".into());
        let clock = Clock::start(STARTED_AT_MS, 60);
        let lines = shop::Topic::ALL.map(|topic| (Sender::Shop, topic.as_str()));
        let triggers = desk::Trigger::ALL.map(|trigger| (Sender::Desk, trigger.as_str()));
        let courier = Courier::new(Subscriptions::OfTheApp, usize::MAX, lines.into_iter().chain(triggers));
        let courier = Arc::new(Mutex::new(courier));
        let plan = Plan {
            seed,
            started_at_ms: STARTED_AT_MS,
            customers: 50,
            visits_per_hour: 240,
            visits_max: Some(visits),
            tickets: 200,
        };
        let signer = Signer::new(seed, shop.secret.clone(), shop.old_secret.clone(), STARTED_AT_MS);
        let postman = Postman {
            seed,
            life: Life::new(plan),
            clock: clock.clone(),
            courier: Arc::clone(&courier),
            shop: Some(Shop { settings: shop, signer }),
            desk: Some(Arc::new(Mutex::new(Desk::new(desk, seed, STARTED_AT_MS)))),
        };
        let posts = Arc::new(Mutex::new(Vec::new()));
        let transport = Scripted { clock, answer, posts: Arc::clone(&posts) };
        let (finish, mut finished) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(postman.run(transport, finish, stopped));
        finished.wait_for(|is_finished| *is_finished).await.expect("the postman is there");
        stop.send_replace(true);
        running.await.expect("the postman ends in peace");
        let ledger = locked(&courier).ledger().cloned().collect();
        (ledger, std::mem::take(&mut *locked(&posts)))
    }

    #[tokio::test(start_paused = true)]
    async fn retries_go_out_when_they_are_due() {
        let (ledger, posts) = run(7, 3, ShopFaults::default(), |_| Answer::Status(503)).await;
        for delivery in ledger.iter().filter(|delivery| delivery.sender == Sender::Shop) {
            assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::GaveUp, 9));
            let sent: Vec<i64> = delivery.attempts.iter().map(|attempt| attempt.sent_at_ms).collect();
            let pauses = sent.windows(2).map(|pair| pair[1] - pair[0]);
            for (pause_ms, doubled) in pauses.zip(0..) {
                let due_ms = 56_470 << doubled;
                // A timer of a millisecond is 60 ms here, and it is never early.
                assert!((due_ms..=due_ms + 120).contains(&pause_ms), "{pause_ms} for {due_ms}");
            }
        }
        let bodies: BTreeMap<_, Vec<&Bytes>> =
            posts.iter().filter(|post| post.sender == Sender::Shop).fold(BTreeMap::new(), |mut bodies, post| {
                let id = post.headers.iter().find(|(name, _)| name == "X-Shopify-Webhook-Id").cloned();
                bodies.entry(id).or_default().push(&post.body);
                bodies
            });
        assert!(bodies.values().all(|same| same.len() == 9 && same.iter().all(|body| *body == same[0])));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_an_hour_loses_nothing() {
        let hour = |passed_ms| Answer::Status(if passed_ms < 3_600_000 { 503 } else { 200 });
        let (ledger, posts) = run(7, 40, ShopFaults::some(), hour).await;
        assert!(ledger.len() > 100);
        let of_the_shop = || ledger.iter().filter(|delivery| delivery.sender == Sender::Shop);
        assert!(of_the_shop().all(|delivery| delivery.state == DeliveryState::Accepted));
        assert!(of_the_shop().any(|delivery| delivery.attempts.len() > 5));
        assert_eq!(ledger.iter().map(|delivery| delivery.attempts.len()).sum::<usize>(), posts.len());
        // The helpdesk doesn't wait that long.
        assert!(ledger.iter().any(|delivery| delivery.state == DeliveryState::GaveUp));
    }

    #[tokio::test(start_paused = true)]
    async fn one_seed_sends_one_sequence() {
        let told = |ledger: Vec<Delivery>| -> Vec<_> {
            ledger.into_iter().map(|delivery| (delivery.webhook_id, delivery.body, delivery.copy_of)).collect()
        };
        let (first, first_posts) = run(7, 60, ShopFaults::some(), |_| Answer::Status(200)).await;
        let (again, again_posts) = run(7, 60, ShopFaults::some(), |_| Answer::Status(200)).await;
        let (other, _) = run(8, 60, ShopFaults::some(), |_| Answer::Status(200)).await;
        let posted = |posts: Vec<Post>| posts.into_iter().map(|post| (post.headers, post.body)).collect::<Vec<_>>();
        assert_eq!(posted(first_posts), posted(again_posts));
        let first = told(first);
        assert_eq!(first, told(again));
        assert_ne!(first, told(other));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_changes_nothing_of_what_people_do() {
        let told = |ledger: Vec<Delivery>| ledger.into_iter().map(|delivery| delivery.body).collect::<Vec<_>>();
        let (accepted, _) = run(7, 30, ShopFaults::some(), |_| Answer::Status(200)).await;
        let (refused, _) = run(7, 30, ShopFaults::some(), |_| Answer::Status(401)).await;
        assert_eq!(told(accepted), told(refused));
    }

    #[tokio::test(start_paused = true)]
    async fn copies_late_ones_and_both_secrets_occur() {
        let (ledger, posts) = run(7, 200, ShopFaults::some(), |_| Answer::Status(200)).await;
        let by_number: BTreeMap<u64, &Delivery> = ledger.iter().map(|delivery| (delivery.number, delivery)).collect();
        let copies: Vec<(&Delivery, &Delivery)> =
            ledger.iter().filter_map(|copy| Some((copy, by_number[&copy.copy_of?]))).collect();
        assert!(copies.iter().all(|(copy, original)| copy.body == original.body && copy.event_id == original.event_id));
        assert!(copies.iter().any(|(copy, original)| copy.webhook_id == original.webhook_id));
        assert!(copies.iter().any(|(copy, original)| copy.webhook_id != original.webhook_id));
        let late_ms = |delivery: &Delivery| delivery.attempts[0].sent_at_ms - delivery.triggered_at_ms;
        assert!(ledger.iter().any(|delivery| late_ms(delivery) > 60_000));
        let overtaken = |pair: &[Delivery]| {
            pair[0].object == pair[1].object && pair[0].attempts[0].sent_at_ms > pair[1].attempts[0].sent_at_ms
        };
        assert!(ledger.windows(2).any(overtaken));
        let signed_with = |key: &str| {
            let signer = Signer::new(7, key.into(), None, 0);
            let is_by = |post: &&Post| {
                let (name, signature) = signer.header(false, &post.body, "", 0, 0);
                post.headers.contains(&(name, signature))
            };
            posts.iter().filter(is_by).count()
        };
        assert!(signed_with("old") > 50 && signed_with("new") > 50);
        assert!(posts.iter().any(|post| post.headers.iter().any(|(name, _)| name == "shopify-topic")));
    }
}
