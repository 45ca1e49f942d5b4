use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    config,
    domain::{Subject, TeamId},
    events::{
        Relay,
        fixtures::{MemoryBroker, TestDatabase},
    },
    telemetry::{self, Meters},
};

/// A relay that publishes to a broker in memory.
struct Running {
    head: watch::Receiver<i64>,
    written: Arc<Notify>,
    tasks: TaskTracker,
    stop: CancellationToken,
    meters: Meters,
}

fn start(db: &TestDatabase, broker: &MemoryBroker) -> Running {
    let (written, tasks, stop) = (Arc::new(Notify::new()), TaskTracker::new(), CancellationToken::new());
    let told = config::Telemetry { admin_listen: Some(([127, 0, 0, 1], 0).into()), ..config::Telemetry::default() };
    let meters = Meters::new(&told, &telemetry::resource(&told).unwrap()).unwrap();
    let relay = Relay {
        database: db.database.clone(),
        env: db.env.clone(),
        written: written.clone(),
        publisher: Some(Box::new(broker.clone())),
        settings: config::Events::default(),
        deleted_invitations: Duration::MAX,
        metrics: Metrics::new(&meters.meter()),
    };
    Running { head: relay.start(&tasks, &stop), written, tasks, stop, meters }
}

impl Running {
    /// Waits until so many subjects are said to be held back.
    async fn holds_back(&self, count: usize) {
        let line = format!("roster_outbox_held_back {count}");
        let told = async {
            while !self.meters.text().unwrap().lines().any(|told| told == line) {
                sleep(PACE).await;
            }
        };
        timeout(Duration::from_secs(20), told).await.unwrap_or_else(|_| panic!("{line} is not told"));
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn team(id: TeamId) -> Subject {
    Subject::Team { id, root: id }
}

/// The versions are dense, so positions that grow are versions in order.
fn assert_in_order(broker: &MemoryBroker, id: TeamId, count: usize) {
    let positions = broker.stored_of(&team(id));
    assert!(positions.is_sorted_by(|a, b| a < b) && positions.len() == count, "{positions:?}");
}

#[tokio::test]
async fn events_written_before_and_after_the_start_are_published_once_and_marked() {
    let (db, broker) = (TestDatabase::new().await, MemoryBroker::new());
    let acme = db.create_team().await;
    db.create_user("ada").await;
    let mut running = start(&db, &broker);
    broker.has_stored(2).await;
    for _ in 0..10 {
        db.change_team(acme).await;
        running.written.notify_one();
    }
    broker.has_stored(12).await;
    db.all_published(12).await;
    assert_in_order(&broker, acme, 11);
    assert_eq!(broker.stored().len(), 12);
    assert_eq!(*running.head.wait_for(|head| *head == 12).await.unwrap(), 12);
    running.stop().await;
}

#[tokio::test]
async fn a_backlog_of_many_teams_drains() {
    let (db, broker) = (TestDatabase::new().await, MemoryBroker::new());
    let mut teams = Vec::new();
    for _ in 0..200 {
        teams.push(db.create_team().await);
    }
    // One team has more than is read of a subject, and than fits into what is read at a time with the others.
    for _ in 0..PER_SUBJECT * 3 {
        db.change_team(teams[0]).await;
    }
    let total = 200 + PER_SUBJECT * 3;
    let running = start(&db, &broker);
    broker.has_stored(total).await;
    db.all_published(total).await;
    assert_in_order(&broker, teams[0], PER_SUBJECT * 3 + 1);
    assert_eq!(broker.stored().len(), total, "nothing is published twice");
    running.stop().await;
}

#[tokio::test]
async fn a_subject_that_is_refused_or_not_answered_holds_back_only_itself() {
    let (db, broker) = (TestDatabase::new().await, MemoryBroker::new());
    let [refused, silent, good] = [db.create_team().await, db.create_team().await, db.create_team().await];
    broker.refuse(&team(refused), true);
    broker.keep_silent(&team(silent), true);
    let running = start(&db, &broker);
    broker.has_stored(1).await;
    for count in 2..=31 {
        for id in [refused, silent, good] {
            db.change_team(id).await;
        }
        running.written.notify_one();
        broker.has_stored(count).await;
    }
    assert_in_order(&broker, good, 31);
    assert_eq!(broker.stored().len(), 31);
    let in_vain = broker.attempts() - 31;
    assert!(in_vain < 15, "{in_vain} attempts, without a pause between them");
    running.holds_back(1).await;

    broker.refuse(&team(refused), false);
    broker.has_stored(62).await;
    running.holds_back(0).await;
    assert_in_order(&broker, refused, 31);
    assert!(broker.stored_of(&team(silent)).is_empty());
    running.stop().await;
}

#[tokio::test]
async fn while_the_broker_is_down_positions_go_on_and_then_the_backlog_drains() {
    let (db, broker) = (TestDatabase::new().await, MemoryBroker::new());
    let acme = db.create_team().await;
    broker.set_down(true);
    let mut running = start(&db, &broker);
    for _ in 0..20 {
        db.change_team(acme).await;
        running.written.notify_one();
    }
    running.head.wait_for(|head| *head == 21).await.unwrap();
    assert!(broker.stored().is_empty());
    broker.set_down(false);
    db.all_published(21).await;
    assert_in_order(&broker, acme, 21);
    running.stop().await;
}

#[tokio::test]
async fn an_outage_in_mid_flight_loses_nothing() {
    let (db, broker) = (TestDatabase::new().await, MemoryBroker::new());
    let teams = [db.create_team().await, db.create_team().await];
    let running = start(&db, &broker);
    for round in 0..10 {
        for id in teams {
            db.change_team(id).await;
        }
        running.written.notify_one();
        if round % 3 == 1 {
            broker.lose_connection(2);
        }
    }
    broker.has_lost_connection().await;
    db.all_published(22).await;
    for id in teams {
        assert_in_order(&broker, id, 11);
    }
    running.stop().await;
}

#[tokio::test]
async fn stopping_records_what_was_acknowledged_and_a_restart_goes_on() {
    let (db, broker) = (TestDatabase::new().await, MemoryBroker::new());
    let acme = db.create_team().await;
    for _ in 0..500 {
        db.change_team(acme).await;
    }
    let running = start(&db, &broker);
    broker.has_stored(10).await;
    running.stop().await;
    let before = broker.stored().len();
    assert!(before < 501, "it stopped in the middle");
    let first = events::unpublished(&db.database.reader(), &[], 1).await.unwrap();
    assert_eq!(first[0].position, i64::try_from(before).unwrap() + 1, "all of it is marked, and nothing else");

    let running = start(&db, &broker);
    db.all_published(501).await;
    assert_in_order(&broker, acme, 501);
    running.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_an_answer_that_is_due() {
    let (db, broker) = (TestDatabase::new().await, MemoryBroker::new());
    let acme = db.create_team().await;
    broker.keep_silent(&team(acme), true);
    let running = start(&db, &broker);
    broker.has_been_asked().await;
    running.stop.cancel();
    tokio::task::yield_now().await;
    broker.keep_silent(&team(acme), false);
    running.stop().await;
    assert_in_order(&broker, acme, 1);
    assert!(events::unpublished(&db.database.reader(), &[], 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_head_closes_when_the_relay_has_stopped() {
    let (db, broker) = (TestDatabase::new().await, MemoryBroker::new());
    let running = start(&db, &broker);
    let mut head = running.head.clone();
    running.stop().await;
    while head.changed().await.is_ok() {}
}
