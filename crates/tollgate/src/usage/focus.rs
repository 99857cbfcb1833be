//! Usage in the columns of FOCUS, for those who put bills of many providers side by side.
//!
//! SPEC: FOCUS 1.3, dataset Cost and Usage; `ProviderName` and `PublisherName` are those of 1.2. One row for each
//! day, agent, team, upstream, item, price and meter. The costs of all rows are the cost of the bill:
//! what rounding leaves over goes to the largest part.
//!
//! Next: `csv.rs`.

use super::bill::UNALLOCATED;
use super::csv::{Cell, line};
use serde_json::json;
use tollgate_core::stores::{UsageBy, UsageSums};
use tollgate_usage::prices::{Price, PriceBook, PricedBy, Quantities};
use tollgate_usage::{days, money};

/// What rows are by.
pub(super) const BY: [UsageBy; 8] = [
    UsageBy::Day,
    UsageBy::Agent,
    UsageBy::Team,
    UsageBy::Upstream,
    UsageBy::Tool,
    UsageBy::Price,
    UsageBy::CountedBy,
    UsageBy::Correction,
];

const COLUMNS: [&str; 44] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_Agent",
    "x_CostIsEstimate",
    "x_Errors",
    "x_TokensCountedBy",
];

/// Whose bill it is.
const ISSUER: &str = "Tollgate";

/// The whole file.
pub(super) fn text(groups: &[UsageSums], book: &PriceBook) -> String {
    let mut text = line(&COLUMNS.map(Cell::text));
    for sums in groups {
        let row = Group::of(sums, book);
        for meter in row.meters() {
            text += &line(&COLUMNS.map(|column| row.cell(column, &meter, book.currency())));
        }
    }
    text
}

/// A group, and its names.
struct Group<'a> {
    sums: &'a UsageSums,
    day: i64,
    agent: Option<&'a str>,
    team: Option<&'a str>,
    upstream: Option<&'a str>,
    item: Option<&'a str>,
    version: Option<&'a str>,
    counted_by: Option<&'a str>,
    is_correction: bool,
    /// `None`: it had none, or the book no longer holds it.
    price: Option<&'a Price>,
}

/// One thing of a group that is measured, and its part of the cost.
struct Meter {
    by: PricedBy,
    quantity: u64,
    cost_micros: i64,
}

impl<'a> Group<'a> {
    fn of(sums: &'a UsageSums, book: &'a PriceBook) -> Self {
        let name = |at: usize| sums.group.get(at).and_then(|name| name.as_deref());
        let version = name(5);
        Self {
            sums,
            day: name(0).and_then(days::parse).unwrap_or_default(),
            agent: name(1),
            team: name(2),
            upstream: name(3),
            item: name(4),
            version,
            counted_by: name(6),
            is_correction: name(7).is_some(),
            price: version.and_then(|version| book.version(version)),
        }
    }

    /// Its rows: calls and tokens always, what else has a price, and the whole cost between them.
    fn meters(&self) -> Vec<Meter> {
        let figure = |number: i64| u64::try_from(number).unwrap_or(0);
        let took = Quantities {
            calls: figure(self.sums.calls),
            tokens_in: figure(self.sums.tokens_in),
            tokens_out: figure(self.sums.tokens_out),
            bytes: figure(self.sums.bytes),
            millis: figure(self.sums.millis),
        };
        let cost = self.sums.cost_micros;
        if self.is_correction {
            return vec![Meter { by: PricedBy::Call, quantity: 0, cost_micros: cost }];
        }
        let meter = |by: PricedBy| {
            let part = self.price.map_or(0, |price| price.part(by, &took));
            let is_priced = self.price.is_some_and(|price| price.unit(by).0 > 0);
            let quantity = match by {
                PricedBy::Call => took.calls,
                PricedBy::TokensIn => took.tokens_in,
                PricedBy::TokensOut => took.tokens_out,
                PricedBy::Bytes => took.bytes,
                PricedBy::Time => took.millis,
            };
            let is_shown = match by {
                PricedBy::Call => true,
                PricedBy::TokensIn | PricedBy::TokensOut => quantity > 0,
                PricedBy::Bytes | PricedBy::Time => is_priced && quantity > 0,
            };
            let cost_micros = i64::try_from(part).unwrap_or(i64::MAX);
            is_shown.then_some(Meter { by, quantity, cost_micros })
        };
        let mut meters: Vec<Meter> = PricedBy::ALL.into_iter().filter_map(meter).collect();
        let parts = meters.iter().fold(0_i64, |sum, meter| sum.saturating_add(meter.cost_micros));
        if let Some(largest) = meters.iter_mut().rev().max_by_key(|meter| meter.cost_micros) {
            largest.cost_micros = largest.cost_micros.saturating_add(cost.saturating_sub(parts));
        }
        meters
    }

    /// The cell of a column. What is not known here is no value.
    fn cell(&self, column: &str, meter: &Meter, currency: &str) -> Cell {
        // A correction has a cost and nothing else that can be counted.
        let unless_correction = |cell: Cell| if self.is_correction { Cell::Null } else { cell };
        let quantity = |digits| unless_correction(Cell::Number(decimal(meter.quantity, digits)));
        let instant = |day: i64| Cell::text(format!("{}T00:00:00Z", days::iso(day)));
        let (month, next) = days::month(self.day).unwrap_or((self.day, self.day));
        let (name, consumed, digits) = units(meter.by);
        match column {
            "BilledCost" | "ContractedCost" | "EffectiveCost" | "ListCost" => {
                Cell::Number(money::text(meter.cost_micros))
            }
            "BillingAccountId" => Cell::text(ISSUER.to_lowercase()),
            "BillingAccountName" | "InvoiceIssuerName" => Cell::text(ISSUER),
            "BillingCurrency" => Cell::text(currency),
            "BillingPeriodEnd" => instant(next),
            "BillingPeriodStart" => instant(month),
            "ChargeCategory" => Cell::text("Usage"),
            "ChargeClass" => Cell::of(self.is_correction.then_some("Correction")),
            "ChargeDescription" => Cell::text(self.description(name)),
            "ChargeFrequency" => Cell::text("Usage-Based"),
            "ChargePeriodEnd" => instant(self.day.saturating_add(1)),
            "ChargePeriodStart" => instant(self.day),
            "ConsumedQuantity" => quantity(if meter.by == PricedBy::Time { digits } else { 0 }),
            "ConsumedUnit" => unless_correction(Cell::text(consumed)),
            "ContractedUnitPrice" | "ListUnitPrice" => match self.price {
                Some(price) => unless_correction(Cell::Number(money::text(price.unit(meter.by).0))),
                None => Cell::Null,
            },
            "HostProviderName"
            | "ProviderName"
            | "PublisherName"
            | "ServiceName"
            | "ServiceProviderName" => Cell::of(self.upstream),
            "PricingCategory" => Cell::text("Standard"),
            "PricingQuantity" => quantity(digits),
            "PricingUnit" => unless_correction(Cell::text(pricing_unit(meter.by))),
            "ResourceId" => Cell::of(self.item),
            "ResourceName" => Cell::of(self.short_item()),
            "ResourceType" => Cell::of(self.item.map(|_| "MCP item")),
            "ServiceCategory" => Cell::text("AI and Machine Learning"),
            "ServiceSubcategory" => Cell::text("Generative AI"),
            "SkuId" => Cell::of(self.price.map(Price::name)),
            "SkuMeter" => unless_correction(Cell::text(name)),
            "SkuPriceId" => Cell::of(self.version),
            "SubAccountId" | "SubAccountName" => Cell::text(self.team.unwrap_or(UNALLOCATED)),
            "SubAccountType" => Cell::text("Team"),
            "Tags" => Cell::text(self.tags()),
            "x_Agent" => Cell::of(self.agent),
            "x_CostIsEstimate" => Cell::text("true"),
            "x_Errors" if meter.by == PricedBy::Call => Cell::Number(self.sums.errors.to_string()),
            "x_TokensCountedBy" => Cell::of(self.counted_by),
            _ => Cell::Null,
        }
    }

    fn description(&self, meter: &str) -> String {
        let shown = self.item.or(self.upstream).unwrap_or_default();
        match self.is_correction {
            true => format!("{shown}: priced again"),
            false => format!("{shown}: {meter}, declared prices times measured use"),
        }
    }

    /// The upstream's own name of the item.
    fn short_item(&self) -> Option<&'a str> {
        let (item, upstream) = self.item.zip(self.upstream)?;
        item.strip_prefix(upstream)?.strip_prefix("__")
    }

    fn tags(&self) -> String {
        let tags = json!({
            "tollgate/agent": self.agent,
            "tollgate/team": self.team,
            "tollgate/tokens_counted_by": self.counted_by,
        });
        tags.to_string()
    }
}

/// What a meter is called, what it counts in, and by which power of ten prices divide that.
const fn units(by: PricedBy) -> (&'static str, &'static str, usize) {
    match by {
        PricedBy::Call => ("calls", "Calls", 0),
        PricedBy::TokensIn => ("input tokens", "Tokens", 3),
        PricedBy::TokensOut => ("output tokens", "Tokens", 3),
        PricedBy::Bytes => ("bytes", "Bytes", 6),
        PricedBy::Time => ("seconds", "Seconds", 3),
    }
}

const fn pricing_unit(by: PricedBy) -> &'static str {
    match by {
        PricedBy::Call => "Calls",
        PricedBy::TokensIn | PricedBy::TokensOut => "1000 Tokens",
        PricedBy::Bytes => "1000000 Bytes",
        PricedBy::Time => "Seconds",
    }
}

/// A number divided by a power of ten, exactly.
fn decimal(number: u64, digits: usize) -> String {
    let text = format!("{number:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests;
