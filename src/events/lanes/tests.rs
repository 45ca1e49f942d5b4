use super::*;
use crate::events::fixtures::{MemoryBroker, event, subject};

/// Publishes until nothing is left.
async fn publish_all(lanes: &mut Lanes<'_>) {
    while lanes.len() > 0 {
        lanes.progress().await;
    }
}

#[tokio::test]
async fn subjects_go_side_by_side_and_each_in_order() {
    let broker = MemoryBroker::new();
    let mut lanes = Lanes::new(&broker, 8);
    for position in 1..=100 {
        lanes.push(event(&subject(position % 5), position), 100);
    }
    assert_eq!(lanes.len(), 100);
    publish_all(&mut lanes).await;

    assert_eq!(broker.most_in_flight(), 5, "that two of a subject are never with the broker, it checks itself");
    for number in 0..5 {
        let positions = broker.stored_of(&subject(number));
        assert!(positions.is_sorted() && positions.len() == 20, "{positions:?}");
    }
    assert_eq!(lanes.acknowledged, broker.stored());
    assert!(!lanes.busy().is_empty(), "until the acknowledgements are recorded, they are not to be read again");
    lanes.acknowledged.clear();
    assert!(lanes.busy().is_empty());
}

#[tokio::test]
async fn the_window_is_never_exceeded() {
    let broker = MemoryBroker::new();
    let mut lanes = Lanes::new(&broker, 3);
    for position in 1..=20 {
        lanes.push(event(&subject(position), position), 100);
    }
    publish_all(&mut lanes).await;
    assert_eq!((broker.most_in_flight(), broker.stored().len()), (3, 20));
}

#[tokio::test]
async fn a_failure_ends_the_lane_of_its_subject_only() {
    let broker = MemoryBroker::new();
    let (bad, good) = (subject(1), subject(2));
    broker.refuse(&bad, true);
    let mut lanes = Lanes::new(&broker, 8);
    for position in 1..=10 {
        lanes.push(event(if position % 2 == 0 { &good } else { &bad }, position), 100);
    }
    publish_all(&mut lanes).await;
    assert_eq!(broker.stored_of(&good), [2, 4, 6, 8, 10]);
    assert_eq!(broker.attempts(), 6, "only the first of the others was handed over");
    assert_eq!(lanes.failed, [(bad, PublishError::Refused("told to".to_owned()))]);
}

#[tokio::test]
async fn what_was_not_read_is_remembered() {
    let broker = MemoryBroker::new();
    let (short, long) = (subject(1), subject(2));
    let mut lanes = Lanes::new(&broker, 8);
    lanes.unread = false;
    lanes.push(event(&short, 1), 1);
    publish_all(&mut lanes).await;
    assert!(!lanes.unread);

    lanes.push(event(&long, 2), 1);
    lanes.push(event(&long, 3), 1);
    assert_eq!(lanes.len(), 1, "the second is more than the lane takes");
    publish_all(&mut lanes).await;
    assert!(lanes.unread);
    assert_eq!(broker.stored_of(&long), [2]);

    lanes.unread = false;
    lanes.push(event(&short, 4), 1);
    assert!(lanes.busy().contains(&short), "what is read now leaves it out");
    publish_all(&mut lanes).await;
    assert!(lanes.unread);
}

#[tokio::test]
async fn publishing_goes_on_during_other_work() {
    let broker = MemoryBroker::new();
    let mut lanes = Lanes::new(&broker, 8);
    for position in 1..=10 {
        lanes.push(event(&subject(1), position), 100);
    }
    lanes.during(broker.has_stored(10)).await;
    assert_eq!(broker.stored().len(), 10);
}

#[tokio::test]
async fn finishing_hands_over_nothing_new() {
    let broker = MemoryBroker::new();
    let mut lanes = Lanes::new(&broker, 2);
    for position in 1..=9 {
        lanes.push(event(&subject(position % 3), position), 100);
    }
    lanes.progress().await;
    lanes.finish().await;
    let handed_over = broker.attempts();
    assert!(handed_over < 9);
    assert_eq!(lanes.acknowledged.len(), handed_over);
    lanes.abandon();
    lanes.during(tokio::task::yield_now()).await;
    assert_eq!((lanes.len(), broker.attempts()), (0, handed_over));
}
