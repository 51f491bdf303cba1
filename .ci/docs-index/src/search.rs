//! What the search answers to a name, and in which order.

use crate::index::{Index, Item};

/// Compared without case and underscores, as the search does it.
fn bare(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

/// The items of `krate` that are called `query` or have it as an alias, in the order of the search.
///
/// A hit that only resembles the name comes behind these, and does not count. With a path, as in
/// `types::Fd`, rustdoc drops whatever is not in a module or type of such a name, aliases too.
pub(crate) fn hits<'a>(index: &'a Index, krate: &str, query: &str) -> Vec<&'a Item> {
    let whole = bare(query);
    let (outer, last) = match query.rsplit_once("::") {
        Some((outer, last)) => (outer.split("::").map(str::to_lowercase).collect(), bare(last)),
        None => (Vec::new(), whole.clone()),
    };
    let within = |item: &Item| {
        let parent = item.parent.iter().map(String::as_str);
        let path: Vec<_> = item.module.split("::").chain(parent).map(str::to_lowercase).collect();
        outer.is_empty() || path.windows(outer.len()).any(|part| part == outer.as_slice())
    };
    let named = index.items.iter().filter(|item| bare(&item.name) == last);
    let aliased = index.aliases.iter().filter_map(|alias| {
        let name = bare(&alias.name);
        (name == whole || name == last).then(|| &index.items[alias.item])
    });
    let mut hits: Vec<(bool, &Item)> = named.map(|item| (false, item)).collect();
    hits.extend(aliased.map(|item| (true, item)));
    hits.retain(|(_, item)| item.krate == krate && within(item));
    // The keys that rustdoc's `sortAndTransformResults` compares, as far as hits can differ here.
    // Of names with a path 1.97 shows those with the shortest one first, before it looks at these.
    let mixed = query.to_lowercase() != query;
    hits.sort_by_cached_key(|&(alias, item)| {
        let name = bare(&item.name);
        (
            (mixed && item.name != query, name != query.to_lowercase(), alias),
            (item.deprecated, item.unstable, name.len(), name),
            (!item.described, item.kind, item.module.clone()),
        )
    });
    let mut seen: Vec<&Item> = Vec::new();
    for (_, item) in hits {
        if !seen.iter().any(|other| std::ptr::eq(*other, item)) {
            seen.push(item);
        }
    }
    seen
}
