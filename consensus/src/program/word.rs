//! The word that is spoken, letter by letter.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// The letters of the Russian alphabet: one for each of the 33 heroes.
pub const RUSSIAN_ALPHABET: &str = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ";

/// The longest word: a decree is a slot, and slots are kept.
pub const LETTERS_MAX: usize = 10_000;

/// A word, cut into letters. A letter is a Unicode scalar value: `й` written as one
/// character is one letter, written as `и` and a breve of its own it is two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    letters: Vec<char>,
}

impl Word {
    /// How many letters there are; never 0.
    pub fn count(&self) -> usize {
        self.letters.len()
    }

    /// The letter at `index`, counted from 0.
    ///
    /// # Panics
    ///
    /// If the word is shorter.
    pub fn letter(&self, index: usize) -> char {
        self.letters[index]
    }
}

impl Default for Word {
    fn default() -> Word {
        RUSSIAN_ALPHABET.parse().expect("the alphabet is a word")
    }
}

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Word, String> {
        if text.is_empty() {
            return Err("there is no letter in it; give at least one, like --word hello".into());
        }
        if let Some(position) = text.chars().position(char::is_control) {
            return Err(format!(
                "character {} is a control character, which nobody can say; take it out",
                position + 1
            ));
        }
        let letters: Vec<char> = text.chars().collect();
        if letters.len() > LETTERS_MAX {
            return Err(format!(
                "{} letters are too many; give at most {LETTERS_MAX}",
                letters.len()
            ));
        }
        Ok(Word { letters })
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letters
            .iter()
            .try_for_each(|letter| f.write_char(*letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_word_has_a_letter_for_each_of_33_heroes() {
        let word = Word::default();
        assert_eq!(word.count(), 33);
        assert_eq!(
            (word.letter(0), word.letter(6), word.letter(32)),
            ('А', 'Ё', 'Я')
        );
        assert_eq!(word.to_string(), RUSSIAN_ALPHABET);
    }

    #[test]
    fn a_letter_is_one_scalar_value() {
        let word: Word = "й и\u{306}".parse().unwrap();
        assert_eq!(word.count(), 4);
        assert_eq!(word.letter(1), ' ');
    }

    #[test]
    fn what_cannot_be_spoken_is_refused_in_one_line() {
        let no = |text: &str| text.parse::<Word>().unwrap_err();
        assert!(no("").contains("no letter"));
        assert!(no("a\x1b[2J").contains("character 2 is a control character"));
        assert!(no("a\nb").contains("control character"));
        assert!(no(&"x".repeat(LETTERS_MAX + 1)).contains("at most 10000"));
    }
}
