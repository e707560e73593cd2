//! Events as they are raised and waited for: what they tell, and whether each is free when it is raised.

use super::{Bits, Id, Item, Key, Replay, S, Wrong};

impl Replay<'_> {
    /// Tokens are there before the first turn, and are taken away behind the last one.
    pub(super) fn edges(&mut self, up: bool) -> Result<(), Wrong> {
        for i in 0..self.order.items.len() {
            if let Some(Item::Token { turns, distance, shares: None, .. }) = self.order.items[i].clone() {
                let total = self.totals.get(&turns).copied().unwrap_or(self.start.slot(turns));
                // By turns it is one, that of the turn before the first; or the last.
                let by = self.turned(i);
                let first = if by > 0 { self.start.slot(turns) } else { 0 };
                for d in 0..distance {
                    if up {
                        self.raise(i, first + d + by)?;
                    } else {
                        self.lower(i, total + d + by)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The item whose event it is.
    pub(super) fn source(&self, i: usize) -> usize {
        match self.order.items.get(i) {
            Some(Some(Item::Token { shares: Some(other), .. })) => *other,
            _ => i,
        }
    }

    fn key(&self, i: usize, turn: Option<usize>) -> Option<Key> {
        let (from, to, id) = match self.order.items.get(i)?.as_ref()? {
            Item::Event { from, to, id, .. } | Item::Token { from, to, id, .. } => (*from, *to, (*id)?),
            _ => return None,
        };
        Some(match id {
            Id::One(e) => (from, to, e),
            Id::Parity(e, node) => {
                let turn = turn.or_else(|| self.totals.get(&node).copied());
                (from, to, e + (turn.unwrap_or(0) % 2) as u8)
            }
        })
    }

    /// An event is raised: the message that whoever waits gets.
    pub(super) fn raise(&mut self, i: usize, turn: usize) -> Result<Bits, Wrong> {
        let from = match self.order.items[i] {
            Some(Item::Event { from, .. } | Item::Token { from, .. }) => from as usize,
            _ => S,
        };
        self.tell(from);
        if self.ids
            && let Some(key) = self.key(i, Some(turn))
        {
            let n = self.raised.entry(key).or_default();
            let late = self.waited.get(&key).is_some_and(|w| w.iter().any(|w| !self.known[from].has(*w)));
            if *n > 0 || late {
                return Err(Wrong::Raised);
            }
            *n += 1;
        }
        let m = self.says(from);
        self.messages.entry(self.source(i)).or_default().push_back(m.clone());
        Ok(m)
    }

    /// It is waited for: the message.
    pub(super) fn lower(&mut self, i: usize, turn: usize) -> Result<Bits, Wrong> {
        let m = self.messages.entry(self.source(i)).or_default().pop_front().ok_or(Wrong::Race)?;
        let to = match self.order.items[i] {
            Some(Item::Event { to, .. } | Item::Token { to, .. }) => to as usize,
            _ => S,
        };
        if self.ids
            && let Some(key) = self.key(i, Some(turn))
        {
            let n = self.count;
            self.count += 1;
            self.own[to].set(n);
            if to == S {
                self.known[S].set(n);
            }
            let first = self.entries.last().copied().unwrap_or(0);
            let last = self.waited.entry(key).or_default();
            last.retain(|w| *w < first);
            last.push(n);
            if let Some(r) = self.raised.get_mut(&key) {
                *r = r.saturating_sub(1);
            }
        }
        self.tell(to);
        Ok(m)
    }

    /// Whether it is a token between neighbours whose events take turns: 1, and what is waited for is the other one.
    pub(super) fn turned(&self, i: usize) -> usize {
        let item = self.order.items.get(i).and_then(Option::as_ref);
        usize::from(matches!(item, Some(Item::Token { distance: 1, id: Some(Id::Parity(..)), .. })))
    }

    /// The turn that an item's parity goes by.
    pub(super) fn turn_of(&self, i: usize) -> usize {
        let node = match self.order.items.get(i).and_then(Option::as_ref) {
            Some(Item::Event { id: Some(Id::Parity(_, node)), .. }) => *node,
            Some(Item::Token { turns, .. }) => *turns,
            _ => return 0,
        };
        self.totals.get(&node).copied().unwrap_or(self.start.slot(node))
    }
}
