//! What goes over the wire to the store, counted by operation: what a decision, a poll or a change costs there.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// What is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreOperation {
    /// Reads one item.
    GetItem,
    /// Reads several items.
    BatchGetItem,
    /// Reads items of a partition, one page.
    Query,
    /// Writes one item.
    PutItem,
    /// Writes several items.
    BatchWriteItem,
    /// Anything else, such as making tables.
    Other,
}

impl StoreOperation {
    /// Every operation.
    pub const ALL: [Self; 6] = [
        Self::GetItem,
        Self::BatchGetItem,
        Self::Query,
        Self::PutItem,
        Self::BatchWriteItem,
        Self::Other,
    ];

    /// The operation that DynamoDB calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let known = Self::ALL
            .into_iter()
            .find(|operation| operation.as_str() == name);
        known.unwrap_or(Self::Other)
    }

    /// Its name at DynamoDB and in the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetItem => "GetItem",
            Self::BatchGetItem => "BatchGetItem",
            Self::Query => "Query",
            Self::PutItem => "PutItem",
            Self::BatchWriteItem => "BatchWriteItem",
            Self::Other => "other",
        }
    }
}

/// Requests to the store, repeats included. Cloning shares the counts.
#[derive(Debug, Clone, Default)]
pub struct StoreRequests(Family<OperationLabels, Counter>);

/// Labels of a request to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OperationLabels {
    operation: &'static str,
}

impl StoreRequests {
    /// The counter of `operation`.
    pub fn of(&self, operation: StoreOperation) -> Counter {
        let operation = operation.as_str();
        self.0.get_or_create(&OperationLabels { operation }).clone()
    }

    /// All requests so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        StoreOperation::ALL
            .map(|operation| self.of(operation).get())
            .into_iter()
            .sum()
    }

    /// The reads among them.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.of(StoreOperation::GetItem).get() + self.of(StoreOperation::Query).get()
    }

    pub(super) fn family(&self) -> Family<OperationLabels, Counter> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_known_by_their_names_and_all_others_are_one() {
        for operation in StoreOperation::ALL {
            assert_eq!(StoreOperation::named(operation.as_str()), operation);
        }
        assert_eq!(StoreOperation::named("CreateTable"), StoreOperation::Other);
    }

    #[test]
    fn reads_are_told_from_writes() {
        let requests = StoreRequests::default();
        for operation in StoreOperation::ALL {
            requests.of(operation).inc();
        }
        assert_eq!((requests.get(), requests.reads()), (6, 2));
    }
}
