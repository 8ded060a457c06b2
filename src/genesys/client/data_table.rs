//! Rows of data tables, read and written through the Platform API.

use reqwest::{RequestBuilder, Url};

use super::{AskError, Client};
use crate::domain::ids::{DataTableId, EnvironmentName};
use crate::genesys::data_table::{self, DataTable, Row};

impl Client {
    /// The table `id`, with its columns; `None` if there is none that this client may see.
    ///
    /// # Errors
    /// Why nothing is known of it.
    pub async fn data_table(&self, id: &DataTableId) -> Result<Option<DataTable>, AskError> {
        let mut url = self.table_url(id, "");
        url.set_query(Some("expand=schema"));
        let answer = self.ask_for(url).await?;
        let table = answer.map(|answer| data_table::read_table(&answer.body));
        Ok(table.transpose()?)
    }

    /// The row `key` of `table`, whole; `None` if there is none, or no such table.
    ///
    /// # Errors
    /// Why nothing is known of it.
    pub async fn row(
        &self,
        table: &DataTableId,
        key: &EnvironmentName,
    ) -> Result<Option<Row>, AskError> {
        let mut url = self.row_url(table, key);
        // In brief a row is its key alone.
        url.set_query(Some("showbrief=false"));
        let answer = self.ask_for(url).await?;
        let row = answer.map(|answer| data_table::read_row(key, &answer.body));
        Ok(row.transpose()?)
    }

    /// Puts `row` in place of the row `key` of `table`: how that stands there then.
    ///
    /// # Errors
    /// Why that is not known. The row may have been put, unless the error is an answer that says otherwise.
    pub async fn put_row(
        &self,
        table: &DataTableId,
        key: &EnvironmentName,
        row: &Row,
    ) -> Result<Row, AskError> {
        let request = self.http.put(self.row_url(table, key));
        self.write_row(key, request.json(row.body())).await
    }

    /// Adds `row`, whose key is `key`, to `table`: how it stands there then.
    ///
    /// # Errors
    /// As [`Client::put_row`].
    pub async fn add_row(
        &self,
        table: &DataTableId,
        key: &EnvironmentName,
        row: &Row,
    ) -> Result<Row, AskError> {
        let request = self.http.post(self.table_url(table, "/rows"));
        self.write_row(key, request.json(row.body())).await
    }

    async fn write_row(
        &self,
        key: &EnvironmentName,
        request: RequestBuilder,
    ) -> Result<Row, AskError> {
        let answer = self.ask(request).await?;
        Ok(data_table::read_row(key, &answer.body)?)
    }

    // The grammars of ids and names leave nothing that would have to be encoded or could lead elsewhere.

    fn row_url(&self, table: &DataTableId, key: &EnvironmentName) -> Url {
        self.table_url(table, &format!("/rows/{key}"))
    }

    fn table_url(&self, table: &DataTableId, rest: &str) -> Url {
        let path = format!("/api/v2/flows/datatables/{table}{rest}");
        self.settings.place.api.at(&path)
    }
}
