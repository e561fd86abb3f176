//! `--protocol lottery`: what happens when heroes simply sort the lots they heard.
//!
//! The faults act where it hurts: whoever is killed, whenever that was to be, vanishes
//! while he tells the others his lot, so that some have heard it and some have not. If
//! no fault is asked for, one hero drawn from the seed does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::arguments::Arguments;
use super::course::{Course, DecreeCounts, End, MessageCounts, Spoken, TraceHash};
use super::draws::Draws;
use super::faults::What;
use super::report::{Paint, count, count_plural};
use super::seeds;
use super::word::Word;
use crate::core::{Config, Event, Message, Name, Port};
use crate::lottery::Lottery;

/// How a lottery went.
#[derive(Debug)]
pub struct Foil {
    word: Word,
    /// What the living believe, and how many of them; what most believe comes first.
    beliefs: Vec<(Vec<usize>, usize)>,
    /// Who vanished, and how many had heard his lot by then.
    dead: Vec<(usize, usize)>,
    living: usize,
    /// Who says each letter aloud: heroes, counted from 0.
    speakers: Vec<Vec<usize>>,
    messages: MessageCounts,
}

/// Draws lots among the heroes that `arguments` ask for.
pub fn run(arguments: &Arguments, seed: u64) -> Foil {
    let config = seeds::config(arguments);
    let peers = arguments.peers;
    let mut draws = seeds::draws(seed, seeds::TABLES);
    let dying = dying(arguments, &mut draws);
    let mut heroes: Vec<Lottery> = (0..peers)
        .map(|hero| Lottery::new(config.clone(), seeds::of_hero(seed, hero, peers)))
        .collect();
    for hero in &mut heroes {
        hero.step(0, Event::Start);
    }
    let dead = tell(arguments, seed, &mut heroes, &dying, &mut draws);
    let is_dead = |hero: &usize| dying.contains(hero);
    for hero in (0..peers).filter(|hero| !is_dead(hero)) {
        heroes[hero].step(config.roll_patience, Event::Timer);
    }
    let living: Vec<usize> = (0..peers).filter(|hero| !is_dead(hero)).collect();
    conclude(arguments, &config, &heroes, &living, dead)
}

/// Heroes, counted from 0, who vanish.
fn dying(arguments: &Arguments, draws: &mut Draws) -> Vec<usize> {
    if arguments.fault.is_empty() && arguments.peers > 2 {
        return vec![draws.below(arguments.peers as u64) as usize];
    }
    let faults = arguments.fault.faults.iter();
    let killed = faults.filter_map(|fault| match fault.what {
        What::Kill(heroes) => Some(heroes.indices()),
        _ => None,
    });
    let mut dying: Vec<usize> = killed.flatten().collect();
    dying.sort_unstable();
    dying.dedup();
    dying
}

/// Everybody tells everybody, as far as he gets. Gives back how far the dying got.
fn tell(
    arguments: &Arguments,
    seed: u64,
    heroes: &mut [Lottery],
    dying: &[usize],
    draws: &mut Draws,
) -> Vec<(usize, usize)> {
    let mut losses = seeds::draws(seed, seeds::LOSSES);
    let mut dead = Vec::new();
    for from in 0..heroes.len() {
        let message = Message::Claim(heroes[from].claim());
        let mut others: Vec<usize> = (0..heroes.len()).filter(|other| *other != from).collect();
        draws.shuffle(&mut others);
        if dying.contains(&from) {
            others.truncate(1 + draws.below((others.len() as u64).saturating_sub(1)) as usize);
            let heard = others.iter().filter(|other| !dying.contains(other)).count();
            dead.push((from, heard));
        }
        for to in others {
            if !losses.happens(arguments.fault.loss.per_million) {
                let port = Port(from - usize::from(from > to));
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
    dead
}

fn conclude(
    arguments: &Arguments,
    config: &Config,
    heroes: &[Lottery],
    living: &[usize],
    dead: Vec<(usize, usize)>,
) -> Foil {
    let numbers: BTreeMap<Name, usize> = heroes
        .iter()
        .enumerate()
        .map(|(hero, lottery)| (lottery.claim().name, hero))
        .collect();
    let mut beliefs = BTreeMap::<Vec<usize>, usize>::new();
    let mut speakers = vec![Vec::new(); config.word.len()];
    let mut messages = MessageCounts::default();
    for hero in living {
        let roster = heroes[*hero]
            .roster()
            .iter()
            .map(|name| numbers[name])
            .collect();
        *beliefs.entry(roster).or_default() += 1;
        for utterance in heroes[*hero]
            .transcript()
            .iter()
            .filter(|utterance| utterance.own)
        {
            speakers[utterance.position].push(*hero);
        }
    }
    heroes.iter().for_each(|hero| messages.add(hero.sent()));
    let mut beliefs: Vec<(Vec<usize>, usize)> = beliefs.into_iter().collect();
    beliefs.sort_by_key(|(_, believers)| std::cmp::Reverse(*believers));
    Foil {
        word: arguments.word.clone(),
        beliefs,
        dead,
        living: living.len(),
        speakers,
        messages,
    }
}

impl Foil {
    /// The lottery as a run like any other: what was said aloud, in the order of the word,
    /// with what was said twice and without what was not said at all.
    pub fn course(&self) -> Course {
        let mut trace = TraceHash::new();
        let believed = self.beliefs.iter().flat_map(|(roster, _)| roster);
        believed.for_each(|hero| trace.number(*hero as u64));
        let said = |(position, speakers): (usize, &Vec<usize>)| {
            let letter = self.word.letter(position).to_string();
            let line = |speaker: &usize| Spoken {
                position: position + 1,
                letter: letter.clone(),
                speaker: speaker + 1,
                stood_in: None,
            };
            speakers.iter().map(line).collect::<Vec<Spoken>>()
        };
        Course {
            end: End::Spoken,
            roster: self
                .beliefs
                .iter()
                .map(|(roster, _)| roster.len())
                .max()
                .unwrap_or(0),
            spoken: self.speakers.iter().enumerate().flat_map(said).collect(),
            messages: self.messages,
            decrees: DecreeCounts::default(),
            rounds: 0,
            elapsed: Duration::ZERO,
            driver: "none",
            cores: 1,
            trace_hash: trace.value(),
        }
    }

    /// The two rosters that most believe in, side by side, and what comes of it.
    pub fn picture(&self, seed: u64, replay: &str, paint: Paint) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            writeln!(text, "{}", line.trim_end()).expect("a String takes every text");
        };
        let heroes = count_plural(self.living + self.dead.len(), "hero draws", "heroes draw");
        line(format!(
            "{heroes} lots, tell each other, and sort what they heard."
        ));
        for (hero, heard) in &self.dead {
            let text = format!(
                "Hero {} vanishes while he tells his lot: {heard} of {} have heard it.",
                hero + 1,
                self.living
            );
            line(paint.red(&text));
        }
        line(String::new());
        self.columns(paint).into_iter().for_each(&mut line);
        line(String::new());
        let mut entry = |title: &str, text: &str| {
            line(format!("  {}  {text}", paint.dim(&format!("{title:<9}"))))
        };
        entry("rosters", &self.rosters_text());
        entry("twice", &self.letters(|speakers| speakers > 1));
        entry("unsaid", &self.letters(|speakers| speakers == 0));
        entry("seed", &seed.to_string());
        entry("repeat", replay);
        text
    }

    fn columns(&self, paint: Paint) -> Vec<String> {
        let shown: Vec<&(Vec<usize>, usize)> = self.beliefs.iter().take(2).collect();
        let heads: String = shown
            .iter()
            .map(|(_, believers)| format!("{:<18}", format!("{believers} believe")))
            .collect();
        let mut lines = vec![paint.dim(&format!("         {heads}"))];
        for position in 0..self.word.count() {
            let speakers: Vec<usize> = shown
                .iter()
                .map(|(roster, _)| roster[position % roster.len()])
                .collect();
            let cells: String = speakers
                .iter()
                .map(|speaker| format!("{:<18}", format!("hero {}", speaker + 1)))
                .collect();
            let is_split = speakers.windows(2).any(|pair| pair[0] != pair[1]);
            let cells = if is_split {
                paint.yellow(&cells)
            } else {
                cells
            };
            let letter = paint.bold(&self.word.letter(position).to_string());
            lines.push(format!("{:>5}  {letter}  {cells}", position + 1));
        }
        lines
    }

    fn rosters_text(&self) -> String {
        match self.beliefs.len() {
            0 => "nobody is left to believe anything".to_owned(),
            1 => format!(
                "all {} living heroes believe the same, this time",
                self.living
            ),
            many => format!(
                "{} among {}; none of them can know which is right",
                count(many, "different one"),
                count_plural(self.living, "living hero", "living heroes")
            ),
        }
    }

    fn letters(&self, matches: impl Fn(usize) -> bool) -> String {
        let positions =
            (0..self.word.count()).filter(|position| matches(self.speakers[*position].len()));
        let letters: String = positions
            .map(|position| self.word.letter(position))
            .collect();
        if letters.is_empty() {
            "nothing".to_owned()
        } else {
            letters
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foil(line: &[&str], seed: u64) -> Foil {
        let line = ["consensus", "--protocol", "lottery"]
            .iter()
            .chain(line)
            .map(Into::into);
        run(&Arguments::read(line).unwrap(), seed)
    }

    #[test]
    fn one_death_in_mid_broadcast_makes_two_rosters() {
        let split = (0..50)
            .filter(|seed| foil(&[], *seed).beliefs.len() == 2)
            .count();
        assert!(split >= 45, "{split} of 50");
    }

    #[test]
    fn a_split_circle_says_letters_twice_or_not_at_all() {
        let foil = foil(&["--fault", "kill 7"], 3);
        assert_eq!(
            (foil.beliefs.len(), foil.living, foil.dead.len()),
            (2, 32, 1)
        );
        let picture = foil.picture(3, "consensus", Paint::plain());
        assert!(
            picture.contains("Hero 7 vanishes while he tells his lot"),
            "{picture}"
        );
        assert!(
            picture.contains("2 different ones among 32 living heroes"),
            "{picture}"
        );
        assert!(
            foil.speakers.iter().any(|speakers| speakers.len() != 1),
            "{picture}"
        );
    }

    #[test]
    fn without_faults_that_bite_all_believe_the_same() {
        let foil = foil(&["--peers", "2"], 1);
        assert_eq!((foil.beliefs.len(), foil.dead.len()), (1, 0));
        assert_eq!(foil.course().spoken.len(), 33);
    }

    #[test]
    fn nobody_left_is_nobody_to_believe() {
        let foil = foil(&["--fault", "kill 1..33"], 1);
        assert!(
            foil.picture(1, "", Paint::plain())
                .contains("nobody is left")
        );
    }
}
