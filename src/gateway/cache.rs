//! A bounded cache in two generations.
//!
//! Job: keep what was found out about recent statement texts. An entry that is asked for again
//! moves to the young generation; when that is full, the old one is forgotten. So a lookup costs a
//! hash and nothing is linked or counted.

use std::collections::HashMap;
use std::sync::Arc;

/// Texts longer than this are not worth their memory.
const LONGEST_KEY: usize = 16 * 1024;

/// A bounded map from text to a shared value.
#[derive(Debug)]
pub(super) struct Cache<T> {
    young: HashMap<Box<str>, Arc<T>>,
    old: HashMap<Box<str>, Arc<T>>,
    generation: usize,
}

impl<T> Cache<T> {
    /// A cache that holds between `generation` and twice as many entries.
    pub(super) fn new(generation: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation }
    }

    /// What is known about `text`.
    pub(super) fn find(&mut self, text: &str) -> Option<Arc<T>> {
        if let Some(value) = self.young.get(text) {
            return Some(Arc::clone(value));
        }
        let (key, value) = self.old.remove_entry(text)?;
        let found = Arc::clone(&value);
        self.insert(key, value);
        Some(found)
    }

    /// Remembers what is known about `text`.
    pub(super) fn keep(&mut self, text: &str, value: &Arc<T>) {
        if text.len() <= LONGEST_KEY {
            self.insert(text.into(), Arc::clone(value));
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn insert(&mut self, key: Box<str>, value: Arc<T>) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_the_oldest_and_keeps_what_is_used() {
        let mut cache = Cache::new(2);
        cache.keep("hot", &Arc::new(0));
        for number in 1..100 {
            cache.keep(&format!("cold {number}"), &Arc::new(number));
            assert_eq!(cache.find("hot").as_deref(), Some(&0));
        }
        assert_eq!(cache.find("cold 1"), None);
        assert!(cache.young.len() + cache.old.len() <= 4);
    }
}
