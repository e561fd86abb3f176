use super::*;

fn candidate(rank: u64, value: u8) -> Candidate<u8> {
    Candidate {
        rank: Rank(rank),
        value,
    }
}

fn answer(step: Step, first: Candidate<u8>, prev: Option<Candidate<u8>>) -> Answer<u8> {
    Answer { step, first, prev }
}

/// Counts up, so that every draw is a fresh one.
struct Counting(u64);

impl Ranks for Counting {
    fn rank(&mut self, _: Port) -> Rank {
        self.0 += 1;
        Rank(self.0)
    }
}

/// Answers as a register that saw nobody else would.
fn agree(driver: &mut Driver<u8>, port: usize, ranks: &mut Counting) -> Progress<u8> {
    let (step, own) = (driver.step(), driver.candidate(Port(port)));
    driver.take(
        Port(port),
        step,
        answer(step, own.clone(), Some(own)),
        ranks,
    )
}

/// A driver of three registers in this phase of round 1, with candidate (9, 5).
fn driver_at(step: Step, ranks: &mut Counting) -> Driver<u8> {
    let mut driver = Driver::new(3, 5, false, ranks);
    driver.take(Port(0), 4, answer(step, candidate(9, 5), None), ranks);
    assert_eq!(
        (driver.step(), driver.candidate(Port(0))),
        (step, candidate(9, 5))
    );
    driver
}

#[test]
fn a_new_register_answers_with_what_it_was_given() {
    let register = Register::new(4, candidate(3, 1));
    assert_eq!(register.answer(), answer(4, candidate(3, 1), None));
}

#[test]
fn within_a_step_first_and_prev_stay_and_best_only_grows() {
    let mut register = Register::new(4, candidate(3, 1));
    assert!(register.record(5, candidate(2, 2)));
    assert!(register.record(5, candidate(7, 3)));
    assert!(!register.record(5, candidate(6, 4)));
    assert_eq!((register.step, &register.best), (5, &candidate(7, 3)));
    assert_eq!(
        register.answer(),
        answer(5, candidate(2, 2), Some(candidate(3, 1)))
    );
}

#[test]
fn the_next_step_takes_the_best_of_the_last_along() {
    let mut register = Register::new(4, candidate(3, 1));
    register.record(4, candidate(8, 2));
    register.record(5, candidate(1, 3));
    assert_eq!(
        register.answer(),
        answer(5, candidate(1, 3), Some(candidate(8, 2)))
    );
}

#[test]
fn a_skipped_step_leaves_prev_empty() {
    let mut register = Register::new(4, candidate(3, 1));
    register.record(5, candidate(3, 1));
    register.record(7, candidate(1, 3));
    assert_eq!(register.answer(), answer(7, candidate(1, 3), None));
}

#[test]
fn an_older_step_changes_nothing_and_is_told_the_newer_one() {
    let mut register = Register::new(6, candidate(3, 1));
    let before = register.clone();
    assert!(!register.record(5, candidate(9, 9)));
    assert_eq!(register, before);
}

#[test]
fn candidates_of_equal_rank_are_ordered_by_value() {
    let mut register = Register::new(4, candidate(3, 1));
    assert!(register.record(4, candidate(3, 2)));
    assert!(!register.record(4, candidate(3, 1)));
    assert_eq!(register.best, candidate(3, 2));
}

#[test]
fn in_phase_0_each_port_has_its_own_rank_and_keeps_it_when_asked_again() {
    let driver = Driver::new(3, 5, false, &mut Counting(0));
    let asked = [0, 1, 2].map(|port| driver.candidate(Port(port)));
    assert_eq!(asked, [candidate(1, 5), candidate(2, 5), candidate(3, 5)]);
    assert_eq!(driver.candidate(Port(1)), asked[1]);
}

#[test]
fn a_step_ends_with_a_majority_of_distinct_ports() {
    for (ports, majority) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (33, 17)] {
        let ranks = &mut Counting(0);
        let mut driver = Driver::new(ports, 5, false, ranks);
        for port in 0..majority - 1 {
            assert_eq!(agree(&mut driver, port, ranks), Progress::None);
            assert_eq!(
                agree(&mut driver, port, ranks),
                Progress::None,
                "one port counted twice of {ports}"
            );
        }
        assert_eq!(driver.answers(), majority - 1);
        assert_eq!(agree(&mut driver, majority - 1, ranks), Progress::Advanced);
    }
}

#[test]
fn an_answer_to_an_earlier_step_does_not_count() {
    let ranks = &mut Counting(0);
    let mut driver = driver_at(5, ranks);
    // The register is at step 5 already, but has not seen our candidate of step 5.
    let late = answer(5, candidate(1, 1), None);
    assert_eq!(driver.take(Port(1), 4, late, ranks), Progress::None);
    assert_eq!(driver.answers(), 0);
}

#[test]
fn phase_0_takes_the_greatest_first() {
    let ranks = &mut Counting(0);
    let mut driver = Driver::new(3, 5, false, ranks);
    driver.take(Port(0), 4, answer(4, candidate(30, 1), None), ranks);
    driver.take(Port(2), 4, answer(4, candidate(20, 9), None), ranks);
    assert_eq!(
        (driver.step(), driver.candidate(Port(1))),
        (5, candidate(30, 1))
    );
}

#[test]
fn phase_1_spreads_and_changes_nothing() {
    let ranks = &mut Counting(0);
    let mut driver = driver_at(5, ranks);
    driver.take(
        Port(0),
        5,
        answer(5, candidate(30, 1), Some(candidate(31, 1))),
        ranks,
    );
    driver.take(
        Port(2),
        5,
        answer(5, candidate(20, 9), Some(candidate(32, 1))),
        ranks,
    );
    assert_eq!(
        (driver.step(), driver.candidate(Port(1))),
        (6, candidate(9, 5))
    );
}

#[test]
fn phase_2_decides_if_nobody_has_a_greater_candidate() {
    let ranks = &mut Counting(0);
    let mut driver = driver_at(6, ranks);
    driver.take(
        Port(0),
        6,
        answer(6, candidate(50, 1), Some(candidate(9, 5))),
        ranks,
    );
    let progress = driver.take(
        Port(2),
        6,
        answer(6, candidate(50, 1), Some(candidate(8, 9))),
        ranks,
    );
    assert_eq!(
        progress,
        Progress::Decided {
            value: 5,
            fast: false
        }
    );
}

#[test]
fn phase_2_goes_on_with_its_own_if_somebody_has_a_greater_one() {
    let ranks = &mut Counting(0);
    let mut driver = driver_at(6, ranks);
    driver.take(
        Port(0),
        6,
        answer(6, candidate(9, 5), Some(candidate(9, 5))),
        ranks,
    );
    let progress = driver.take(
        Port(2),
        6,
        answer(6, candidate(9, 5), Some(candidate(9, 6))),
        ranks,
    );
    assert_eq!(progress, Progress::Advanced);
    assert_eq!(
        (driver.step(), driver.candidate(Port(1))),
        (7, candidate(9, 5))
    );
}

#[test]
fn phase_3_takes_the_greatest_prev_into_the_next_round_with_fresh_ranks() {
    let ranks = &mut Counting(100);
    let mut driver = driver_at(7, ranks);
    driver.take(Port(0), 7, answer(7, candidate(90, 1), None), ranks);
    driver.take(
        Port(2),
        7,
        answer(7, candidate(90, 1), Some(candidate(10, 8))),
        ranks,
    );
    assert_eq!(driver.step(), 8);
    let asked = [0, 1, 2].map(|port| driver.candidate(Port(port)));
    assert_eq!(
        asked,
        [candidate(104, 8), candidate(105, 8), candidate(106, 8)]
    );
}

#[test]
fn a_greater_step_is_adopted_at_once_with_its_first_candidate() {
    let ranks = &mut Counting(0);
    let mut driver = Driver::new(5, 5, false, ranks);
    agree(&mut driver, 0, ranks);
    let progress = driver.take(
        Port(3),
        4,
        answer(10, candidate(7, 2), Some(candidate(99, 3))),
        ranks,
    );
    assert_eq!(progress, Progress::Jumped);
    assert_eq!(
        (driver.step(), driver.candidate(Port(0)), driver.answers()),
        (10, candidate(7, 2), 0)
    );
}

#[test]
fn the_owner_decides_in_one_round_trip_if_a_majority_saw_him_first() {
    let ranks = &mut Counting(0);
    let mut owner = Driver::new(3, 5, true, ranks);
    assert_eq!(
        owner.candidate(Port(2)),
        Candidate {
            rank: Rank::TOP,
            value: 5
        }
    );
    agree(&mut owner, 0, ranks);
    assert_eq!(
        agree(&mut owner, 2, ranks),
        Progress::Decided {
            value: 5,
            fast: true
        }
    );
}

#[test]
fn the_owner_goes_on_if_one_of_the_majority_saw_another_first() {
    let ranks = &mut Counting(0);
    let mut owner = Driver::new(3, 5, true, ranks);
    agree(&mut owner, 0, ranks);
    assert_eq!(
        owner.take(Port(1), 4, answer(4, candidate(6, 6), None), ranks),
        Progress::Advanced
    );
    assert_eq!(
        owner.candidate(Port(1)),
        Candidate {
            rank: Rank::TOP,
            value: 5
        }
    );
}

#[test]
fn whoever_finds_the_top_rank_at_a_majority_may_decide_it() {
    let ranks = &mut Counting(0);
    let mut neighbour = Driver::new(3, 8, false, ranks);
    let top = Candidate {
        rank: Rank::TOP,
        value: 5,
    };
    neighbour.take(Port(0), 4, answer(4, top.clone(), None), ranks);
    let progress = neighbour.take(Port(1), 4, answer(4, top, None), ranks);
    assert_eq!(
        progress,
        Progress::Decided {
            value: 5,
            fast: true
        }
    );
}

#[test]
fn the_top_rank_is_not_used_again_in_the_second_round() {
    let ranks = &mut Counting(0);
    let mut owner = Driver::new(3, 5, true, ranks);
    let top = Candidate {
        rank: Rank::TOP,
        value: 5,
    };
    assert_eq!(
        owner.take(Port(0), 4, answer(8, top, None), ranks),
        Progress::Jumped
    );
    assert_eq!(owner.candidate(Port(0)), candidate(1, 5));
}

#[test]
fn no_drawn_rank_is_the_top_one() {
    assert!(Rank::drawn(u64::MAX) < Rank::TOP);
    assert!(Rank::drawn(u64::MAX - 1) < Rank::TOP);
}
