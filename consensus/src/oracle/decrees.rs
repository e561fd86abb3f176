//! [`Decree`]: what was asked, answered and decided for one slot.

use std::collections::BTreeMap;

use crate::core::{Answer, Candidate, Conclusion, Rank, Slot, Step, Value};

/// A set of heroes.
pub(super) type Heroes = u128;

/// Everything about one slot.
#[derive(Debug, Default)]
pub(super) struct Decree {
    decision: Option<Value>,
    /// From this step on there is no other value.
    settled_from: Option<Step>,
    /// Who ever had a register on his disk.
    recorded: Heroes,
    /// Each value that was sent, with the greatest step it was sent in.
    sent: Vec<(Value, Step)>,
    /// The value that the top rank was used for.
    top: Option<Value>,
    questions: BTreeMap<(u64, Step), Question>,
}

/// What a driver has asked in one step.
#[derive(Debug)]
struct Question {
    driver: usize,
    /// The same for all, but in phase 0.
    candidate: Candidate<Value>,
    answered: Heroes,
}

impl Decree {
    pub(super) fn decision(&self) -> Option<&Value> {
        self.decision.as_ref()
    }

    pub(super) fn records(&mut self, hero: usize) {
        self.recorded |= 1 << hero;
    }

    /// True if that is new.
    pub(super) fn decides(&mut self, slot: Slot, value: &Value) -> bool {
        if let Some(known) = &self.decision {
            assert_eq!(known, value, "I4: slot {slot} has two decisions");
            return false;
        }
        self.decision = Some(value.clone());
        self.check_settled(slot);
        true
    }

    /// True if that is a new question.
    pub(super) fn asks(
        &mut self,
        hero: usize,
        attempt: u64,
        step: Step,
        candidate: &Candidate<Value>,
    ) -> bool {
        if candidate.rank == Rank::TOP && step == 4 {
            let top = self.top.get_or_insert_with(|| candidate.value.clone());
            assert_eq!(
                *top, candidate.value,
                "I9: the top rank is used for two values"
            );
        }
        assert!(
            candidate.rank != Rank::TOP || self.top.as_ref() == Some(&candidate.value),
            "I9: a top rank from nowhere"
        );
        match self
            .sent
            .iter_mut()
            .find(|(value, _)| *value == candidate.value)
        {
            Some((_, last)) => *last = step.max(*last),
            None => self.sent.push((candidate.value.clone(), step)),
        }
        if let (Some(from), Some(decision)) = (self.settled_from, &self.decision) {
            assert!(
                step < from || candidate.value == *decision,
                "I3: another value in step {step} after the decision"
            );
        }
        let mut is_new = false;
        let question = || {
            is_new = true;
            Question {
                driver: hero,
                candidate: candidate.clone(),
                answered: 0,
            }
        };
        let known = self
            .questions
            .entry((attempt, step))
            .or_insert_with(question);
        assert!(
            step.is_multiple_of(4) || known.candidate == *candidate,
            "one question, two candidates"
        );
        is_new
    }

    pub(super) fn answers(
        &mut self,
        hero: usize,
        attempt: u64,
        asked: Step,
        answer: &Answer<Value>,
    ) {
        let question = self.questions.get_mut(&(attempt, asked));
        let question = question.expect("an answer to what nobody asked");
        assert!(answer.step >= asked, "I1: it has not recorded the question");
        if answer.step == asked {
            question.answered |= 1 << hero;
        }
    }

    /// Who has said that he recorded this candidate in this step, and who drove it.
    pub(super) fn recorded_in(&self, step: Step, candidate: &Candidate<Value>) -> (Heroes, Heroes) {
        let (mut recorded, mut drivers) = (0, 0);
        for ((_, asked), question) in &self.questions {
            if *asked == step && question.candidate == *candidate {
                recorded |= question.answered;
                drivers |= 1 << question.driver;
            }
        }
        (recorded, drivers)
    }

    /// A driver has come to its end: I3 and I12.
    pub(super) fn concludes(&mut self, slot: Slot, hero: usize, how: Conclusion, majority: usize) {
        let (decided_in, from) = match how {
            Conclusion::Told => return,
            Conclusion::Fast => (4, 5),
            Conclusion::Slow { round } => (4 * round + 2, 4 * round + 4),
        };
        let voters = self.recorded.count_ones() as usize;
        assert!(voters >= majority, "I12: {voters} decided slot {slot}");
        let own = 1 << hero;
        let answered = self.questions.iter().filter_map(|((_, step), question)| {
            let is_it = question.driver == hero && *step == decided_in;
            is_it.then(|| (question.answered | own).count_ones() as usize)
        });
        let most = answered.max().unwrap_or(1);
        assert!(
            most >= majority,
            "I12: {most} have answered when slot {slot} was decided"
        );
        let from = self.settled_from.map_or(from, |known| known.min(from));
        self.settled_from = Some(from);
        self.check_settled(slot);
    }

    fn check_settled(&self, slot: Slot) {
        let (Some(from), Some(decision)) = (self.settled_from, &self.decision) else {
            return;
        };
        for (value, last) in &self.sent {
            assert!(
                value == decision || *last < from,
                "I3: another value for slot {slot} was sent in step {last}, after the decision"
            );
        }
    }
}
