//! The foil: the obvious answer, which is wrong.
//!
//! Everybody draws a lot, tells everybody, waits a while, and sorts what he heard. Nobody leads, no numbers are handed
//! out, and as long as nothing goes wrong all rosters are the same. But let one hero die while he is telling the
//! others: some have heard him and some have not, and *nothing they do on their own can tell them so*. Two letters are
//! then spoken by two heroes each. With 33 heroes one such death splits the circle nearly always, and losing one
//! message in a thousand splits it in two runs of three. [`core`](crate::core) is what it takes to do better.
//!
//! It speaks the same events and effects as a [`Peer`](crate::core::Peer), so that the same program runs both.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use crate::core::{
    Claim, Config, Effect, Event, Message, MessageCounts, Micros, Name, Port, Random, Ticket,
    Utterance,
};

/// One hero who believes in lots.
#[derive(Debug)]
pub struct Lottery {
    config: Config,
    claim: Claim,
    heard: BTreeMap<Port, Claim>,
    closes_at: Micros,
    roster: Vec<Name>,
    sent: MessageCounts,
}

impl Lottery {
    /// Draws a name and a lot.
    pub fn new(config: Config, mut random: Random) -> Lottery {
        let (name, ticket) = (Name(random.draw_wide()), Ticket(random.draw_wide()));
        Lottery {
            config,
            claim: Claim {
                ticket,
                name,
                redraws: 0,
            },
            heard: BTreeMap::new(),
            closes_at: Micros::MAX,
            roster: Vec::new(),
            sent: MessageCounts::default(),
        }
    }

    /// Tells it what happened. It broadcasts its claim once, and closes its roster when it has heard everybody or when
    /// [`Config::roll_patience`] is over: [`Effect::Rolled`] and, letter by letter, [`Effect::Spoken`], as *it* sees it.
    pub fn step(&mut self, now: Micros, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Start => {
                self.closes_at = now + self.config.roll_patience;
                let message = Message::Claim(self.claim);
                self.sent.add(&message, self.config.ports() as u64);
                effects.push(Effect::Broadcast(message));
                effects.push(Effect::Timer {
                    at: Some(self.closes_at),
                });
            }
            Event::Received {
                port,
                message: Message::Claim(claim),
            } if self.roster.is_empty() => {
                self.heard.insert(port, claim);
            }
            Event::Received { .. } | Event::Timer | Event::Persisted { .. } => {}
        }
        let has_all = self.heard.len() == self.config.ports();
        if self.roster.is_empty() && (has_all || now >= self.closes_at) {
            self.close(&mut effects);
        }
        effects
    }

    fn close(&mut self, effects: &mut Vec<Effect>) {
        let mut claims: Vec<Claim> = self.heard.values().copied().chain([self.claim]).collect();
        claims.sort();
        self.roster = claims.iter().map(|claim| claim.name).collect();
        effects.push(Effect::Timer { at: None });
        effects.push(Effect::Rolled {
            roster: self.roster.clone(),
        });
        effects.extend(self.transcript().into_iter().map(Effect::Spoken));
    }

    /// Its own name and lot.
    pub fn claim(&self) -> Claim {
        self.claim
    }

    /// The names in the order in which this hero heard them to be; empty until it is closed.
    pub fn roster(&self) -> &[Name] {
        &self.roster
    }

    /// Who says which letter, if it were up to this hero.
    pub fn transcript(&self) -> Vec<Utterance> {
        let turns = self
            .config
            .word
            .iter()
            .zip(self.roster.iter().cycle())
            .enumerate();
        let utterance = |(position, (&letter, &speaker))| Utterance {
            position,
            letter,
            speaker,
            owner: speaker,
            own: speaker == self.claim.name,
        };
        turns.map(utterance).collect()
    }

    /// Whether it believes that everything is settled.
    pub fn is_finished(&self) -> bool {
        !self.roster.is_empty()
    }

    /// What it sent.
    pub fn sent(&self) -> &MessageCounts {
        &self.sent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// How many different rosters there are among those who live, if `lost(from, to)` is.
    fn rosters(
        seed: u64,
        peers: usize,
        dead: Option<usize>,
        mut lost: impl FnMut(usize, usize) -> bool,
    ) -> usize {
        let config = Config::new(peers, "ab").unwrap();
        let peer = |index: usize| {
            Lottery::new(
                config.clone(),
                Random::new(seed << 8 | index as u64, peers - 1),
            )
        };
        let mut heroes: Vec<Lottery> = (0..peers).map(peer).collect();
        for from in 0..peers {
            heroes[from].step(0, Event::Start);
            let message = Message::Claim(heroes[from].claim());
            for to in (0..peers).filter(|&to| to != from) {
                let port = Port(from - usize::from(from > to));
                if !lost(from, to) {
                    heroes[to].step(
                        1,
                        Event::Received {
                            port,
                            message: message.clone(),
                        },
                    );
                }
            }
        }
        let alive = heroes
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| Some(*index) != dead);
        let views: BTreeSet<Vec<Name>> = alive
            .map(|(_, hero)| {
                hero.step(config.roll_patience, Event::Timer);
                hero.roster().to_vec()
            })
            .collect();
        views.len()
    }

    #[test]
    fn without_faults_all_see_the_same_roster() {
        for seed in 0..20 {
            assert_eq!(rosters(seed, 33, None, |_, _| false), 1);
        }
    }

    #[test]
    fn one_death_in_mid_broadcast_leaves_two_rosters() {
        for told in 1..32 {
            assert_eq!(
                rosters(1, 33, Some(32), |from, to| from == 32 && to >= told),
                2,
                "{told} were told"
            );
        }
    }

    #[test]
    fn losing_one_message_in_a_thousand_splits_the_circle_in_two_runs_of_three() {
        let mut random = Random::new(5, 0);
        let split = (0..300)
            .filter(|&seed| rosters(seed, 33, None, |_, _| random.draw_below(1000) == 0) > 1)
            .count();
        assert!((165..225).contains(&split), "{split} of 300 runs");
    }

    #[test]
    fn it_reports_its_own_view_in_the_same_effects_as_a_peer() {
        let config = Config::new(2, "abc").unwrap();
        let mut hero = Lottery::new(config.clone(), Random::new(1, 1));
        let other = Lottery::new(config, Random::new(2, 1)).claim();
        let claim = Message::Claim(hero.claim());
        let start = hero.step(0, Event::Start);
        assert_eq!(
            start,
            [
                Effect::Broadcast(claim),
                Effect::Timer { at: Some(300_000) }
            ]
        );
        let effects = hero.step(
            5,
            Event::Received {
                port: Port(0),
                message: Message::Claim(other),
            },
        );
        assert_eq!(
            effects[1],
            Effect::Rolled {
                roster: hero.roster().to_vec()
            }
        );
        let letters = effects[2..].iter().map(|effect| match effect {
            Effect::Spoken(utterance) => utterance.letter,
            _ => panic!("{effect:?}"),
        });
        assert!(letters.eq("abc".chars()));
        assert_eq!(
            hero.step(6, Event::Timer),
            [],
            "a closed roster stays closed"
        );
        assert_eq!(hero.sent().total(), 1);
    }
}
