use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

fn wheel() -> (Wheel<u64>, Instant) {
    let origin = Instant::now();
    (Wheel::new(origin), origin)
}

fn expired(wheel: &mut Wheel<u64>, now: Instant) -> Vec<u64> {
    let mut values = Vec::new();
    wheel.expire(now, &mut values);
    values
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn seeded(test: &str) -> Random {
        let seed = match std::env::var("KRUG_TEST_SEED") {
            Ok(seed) => seed.parse().expect("KRUG_TEST_SEED is a number"),
            Err(_) => std::process::id().into(),
        };
        println!("{test}: KRUG_TEST_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

#[test]
fn nothing_fires_early_and_everything_fires_on_the_nanosecond() {
    let (mut wheel, origin) = wheel();
    let at = |nanos| origin + Duration::from_nanos(nanos);
    wheel.insert(at(1_000), 1);
    assert_eq!(expired(&mut wheel, at(999)), []);
    assert_eq!(expired(&mut wheel, at(1_000)), [1]);
    assert_eq!(expired(&mut wheel, at(2_000)), []);
}

#[test]
fn equal_deadlines_fire_in_the_order_of_insertion() {
    let (mut wheel, origin) = wheel();
    let keys: Vec<TimerKey> = (0..100).map(|i| wheel.insert(origin, i)).collect();
    // A place that is used again must not bring its old turn with it.
    assert_eq!(wheel.remove(keys[3]), Some(3));
    assert_eq!(wheel.remove(keys[50]), Some(50));
    wheel.insert(origin, 100);
    wheel.insert(origin, 101);
    let expected: Vec<u64> = (0..102).filter(|&i| i != 3 && i != 50).collect();
    assert_eq!(expired(&mut wheel, origin), expected);
}

#[test]
fn the_next_deadline_of_a_long_sleep_is_exact() {
    let (mut wheel, origin) = wheel();
    assert_eq!(wheel.next_deadline(), None);
    let hour = origin + Duration::from_nanos(3_600_000_000_001);
    let key = wheel.insert(hour, 1);
    assert_eq!(wheel.next_deadline(), Some(hour));
    let sooner = wheel.insert(origin + Duration::from_secs(1), 2);
    assert_eq!(wheel.next_deadline(), Some(origin + Duration::from_secs(1)));
    wheel.remove(sooner);
    assert_eq!(wheel.next_deadline(), Some(hour));
    wheel.remove(key);
    assert_eq!(wheel.next_deadline(), None);
}

#[test]
fn deadlines_before_the_origin_are_due_at_once_and_in_order() {
    let Some(origin) = Instant::now().checked_add(Duration::from_secs(1000)) else {
        panic!("the clock is at its end");
    };
    let mut wheel = Wheel::new(origin);
    let before = |secs| origin - Duration::from_secs(secs);
    wheel.insert(before(1), 1);
    wheel.insert(before(500), 500);
    wheel.insert(origin, 0);
    assert_eq!(wheel.next_deadline(), Some(before(500)));
    assert_eq!(expired(&mut wheel, before(2)), [500]);
    assert_eq!(expired(&mut wheel, origin), [1, 0]);
}

#[test]
fn a_deadline_centuries_away_does_not_overflow() {
    let (mut wheel, origin) = wheel();
    let centuries = origin + Duration::from_secs(1000 * 365 * 86_400);
    wheel.insert(centuries, 1);
    let next = wheel.next_deadline().expect("a timer is there");
    assert!(next > origin + Duration::from_secs(290 * 365 * 86_400));
    assert_eq!(
        expired(&mut wheel, origin + Duration::from_secs(86_400)),
        []
    );
}

#[test]
fn an_old_key_is_of_no_effect_on_who_has_its_place_now() {
    let (mut wheel, origin) = wheel();
    let old = wheel.insert(origin, 1);
    assert_eq!(expired(&mut wheel, origin), [1]);
    let new = wheel.insert(origin, 2);
    assert_eq!(old.index, new.index);
    assert_eq!(wheel.remove(old), None);
    assert_eq!(wheel.get_mut(old), None);
    assert_eq!(wheel.get_mut(new), Some(&mut 2));
    assert_eq!(wheel.remove(new), Some(2));
    assert_eq!(wheel.remove(new), None);
    assert_eq!(wheel.len(), 0);
}

#[test]
fn what_expires_is_appended() {
    let (mut wheel, origin) = wheel();
    wheel.insert(origin, 2);
    let mut values = vec![1];
    wheel.expire(origin, &mut values);
    assert_eq!(values, [1, 2]);
}

/// Every step must leave parents before children, rows in order, with one that lives at each end, and a node for each timer.
fn check(wheel: &Wheel<u64>) {
    for (position, node) in wheel.heap.iter().enumerate() {
        assert!(position == 0 || wheel.heap[parent(position)].rank() < node.rank());
    }
    for row in &wheel.rows {
        let (first, end) = (row.first().rank(), row.end());
        let row = &row.nodes;
        assert_eq!(row.front().map_or(u128::MAX, Node::rank), first);
        assert_eq!(
            row.back().map_or(-i64::MAX, |last| last.deadline_nanos),
            end
        );
        assert!(row.iter().is_sorted_by_key(Node::rank));
        let ends = row.front().into_iter().chain(row.back());
        assert!(ends.into_iter().all(|end| is_live(&wheel.places, end)));
    }
    let in_rows = wheel.rows.iter().map(|row| row.nodes.len());
    assert_eq!(in_rows.sum::<usize>(), wheel.in_rows);
    let nodes = wheel
        .heap
        .iter()
        .chain(wheel.rows.iter().flat_map(|row| &row.nodes));
    let live = nodes.filter(|node| is_live(&wheel.places, node)).count();
    let taken = wheel
        .places
        .iter()
        .filter(|place| matches!(place, Place::Taken { .. }));
    assert_eq!(live, taken.count());
    assert_eq!(live, wheel.len());
}

#[test]
fn what_was_removed_is_thrown_away_in_the_end() {
    let mut random = Random::seeded("what_was_removed_is_thrown_away_in_the_end");
    let mut thrown_away = 0;
    for _ in 0..50 {
        let (mut wheel, origin) = wheel();
        let mut keys: Vec<TimerKey> = (0..2000)
            .map(|id| wheel.insert(origin + Duration::from_nanos(random.below(1000)), id))
            .collect();
        while !keys.is_empty() {
            let nth = random.below(keys.len() as u64) as usize;
            let before = wheel.nodes();
            assert!(wheel.remove(keys.swap_remove(nth)).is_some());
            assert!(wheel.nodes() <= 2 * keys.len() + REMOVED_MIN);
            // Those that live have changed their places: it has to be a heap again.
            if before - wheel.nodes() > REMOVED_MIN {
                thrown_away += 1;
                check(&wheel);
            }
        }
        assert_eq!(wheel.nodes(), 0);
    }
    assert!(thrown_away > 100, "{thrown_away} times");
}

#[test]
fn a_timer_that_is_armed_and_dropped_leaves_nothing_behind() {
    let (mut wheel, origin) = wheel();
    let sleeper = wheel.insert(origin + Duration::from_secs(1), 0);
    for secs in 2..100 {
        let key = wheel.insert(origin + Duration::from_secs(secs), secs);
        assert_eq!(wheel.remove(key), Some(secs));
        assert_eq!(wheel.nodes(), 1);
    }
    assert_eq!(wheel.remove(sleeper), Some(0));
    assert_eq!(wheel.nodes(), 0);
}

#[test]
fn timers_of_a_few_durations_stand_in_rows_and_others_in_the_heap() {
    let (mut wheel, origin) = wheel();
    let durations = [1, 100, 10, 1000];
    for nanos in 0..50 {
        for duration in durations {
            wheel.insert(
                origin + Duration::from_nanos(nanos + duration * 1000),
                nanos,
            );
        }
    }
    assert_eq!(wheel.heap.len(), HEAP_TINY);
    assert_eq!(wheel.nodes(), 50 * durations.len());
    wheel.insert(origin, 50);
    assert_eq!(
        wheel.heap.len(),
        HEAP_TINY + 1,
        "it comes before the ends of all rows"
    );
    check(&wheel);
    assert_eq!(expired(&mut wheel, origin), [50]);
    let all: Vec<u64> = (0..50).collect();
    for duration in [1, 10, 100, 1000] {
        let now = origin + Duration::from_nanos(duration * 1000 + 50);
        assert_eq!(expired(&mut wheel, now), all);
    }
    // Rows that have become empty are anybody's.
    for value in 0..10 {
        wheel.insert(origin, value);
    }
    assert_eq!((wheel.nodes(), wheel.heap.len()), (10, HEAP_TINY));
}

#[test]
fn it_behaves_like_a_sorted_map() {
    let mut random = Random::seeded("it_behaves_like_a_sorted_map");
    for _ in 0..200 {
        let (mut wheel, origin) = wheel();
        let mut map: BTreeMap<(Instant, u64), TimerKey> = BTreeMap::new();
        let mut spent: Vec<TimerKey> = Vec::new();
        let mut now = origin;
        // Small ranges make ties; large ones make deep heaps of different deadlines.
        let range = [1, 10, 1_000_000][random.below(3) as usize];
        for id in 0..300_u64 {
            match random.below(10) {
                0..=5 => {
                    let deadline = now + Duration::from_nanos(random.below(range));
                    let key = wheel.insert(deadline, id);
                    map.insert((deadline, id), key);
                }
                6..=7 if !map.is_empty() => {
                    let nth = random.below(map.len() as u64) as usize;
                    let (&entry, &key) = map.iter().nth(nth).expect("nth is below len");
                    map.remove(&entry);
                    assert_eq!(wheel.get_mut(key), Some(&mut entry.1.clone()));
                    assert_eq!(wheel.remove(key), Some(entry.1));
                    spent.push(key);
                }
                _ => {
                    now += Duration::from_nanos(random.below(range / 4 + 1));
                    let later = map.split_off(&(now, u64::MAX));
                    let due: Vec<u64> = map.keys().map(|&(_, id)| id).collect();
                    spent.extend(map.into_values());
                    map = later;
                    assert_eq!(expired(&mut wheel, now), due);
                }
            }
            check(&wheel);
            assert_eq!(wheel.len(), map.len());
            assert_eq!(wheel.next_deadline(), map.keys().next().map(|&(at, _)| at));
            for &key in spent.iter().rev().take(20) {
                assert_eq!(wheel.get_mut(key), None);
            }
        }
    }
}

#[test]
fn memory_is_reused() {
    let (mut wheel, origin) = wheel();
    for i in 0..1000 {
        wheel.insert(origin + Duration::from_nanos(i), i);
    }
    let memory = |wheel: &Wheel<u64>| {
        let rows = wheel.rows.each_ref().map(|row| row.nodes.capacity());
        (rows, wheel.heap.capacity(), wheel.places.capacity())
    };
    let mut values = Vec::with_capacity(1000);
    let mut before = None;
    for round in 0..100 {
        wheel.expire(origin + Duration::from_nanos(499), &mut values);
        values.clear();
        while wheel.len() < 1000 {
            wheel.insert(origin + Duration::from_nanos(round), 0);
        }
        // Then everything has been as long as it will ever be.
        if round == 50 {
            before = Some(memory(&wheel));
        }
    }
    assert_eq!(before, Some(memory(&wheel)));
    assert_eq!(wheel.places.len(), 1000);
}
