//! The word that is spoken, letter by letter.

use std::fmt;
use std::str::FromStr;

use unicode_segmentation::UnicodeSegmentation;

/// The letters of the Russian alphabet: one for each of the 33 heroes.
pub const RUSSIAN_ALPHABET: &str = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ";

/// The longest word: a decree is a slot, and slots are kept.
pub const LETTERS_MAX: usize = 10_000;

/// A word, cut into letters. A letter is what a reader calls one: an extended grapheme
/// cluster of Unicode, so that an accent written as a code point of its own stays on
/// its letter instead of being spoken by a second hero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    letters: Vec<String>,
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
    pub fn letter(&self, index: usize) -> &str {
        &self.letters[index]
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
        let letters: Vec<String> = text.graphemes(true).map(str::to_owned).collect();
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
            .try_for_each(|letter| f.write_str(letter))
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
            ("А", "Ё", "Я")
        );
        assert_eq!(word.to_string(), RUSSIAN_ALPHABET);
    }

    #[test]
    fn an_accent_of_its_own_stays_on_its_letter() {
        let word: Word = "и\u{306}e\u{301}👩‍🚀".parse().unwrap();
        assert_eq!(word.count(), 3);
        assert_eq!(word.letter(1), "e\u{301}");
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
