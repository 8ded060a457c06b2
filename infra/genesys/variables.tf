variable "kit" {
  description = "Directory that `traffic-cop genesys export` has written."
  type        = string
}

variable "first_kit" {
  description = "Directory of the kit that blue and green were first published from, kept as it was; null is `kit`. Set it before exporting a second kit."
  type        = string
  default     = null
}

variable "earlier_kits" {
  description = "Directories of earlier kits whose actions flows still use: those of an earlier interface."
  type        = list(string)
  default     = []
}

variable "token" {
  description = "Text of a token of traffic-cop with the scopes decide and report, in this environment."
  type        = string
  sensitive   = true
}

variable "token_name" {
  description = "Name of that token. Used by kits that were exported with --credential basic or oauth."
  type        = string
  default     = ""
}

variable "integration_id" {
  description = "Id of an integration that is there already, such as that of another environment; null makes one."
  type        = string
  default     = null
}

variable "user_defined_credential_type" {
  description = "The platform's name for the credential type User Defined. UNCONFIRMED; GET /api/v2/integrations/credentials/types lists the names."
  type        = string
  default     = "userDefined"
}

variable "division_id" {
  description = "Division of the data table and the call route; null is the home division."
  type        = string
  default     = null
}

variable "table_id" {
  description = "Id of a data table that is there already, since one table serves every environment; null makes one."
  type        = string
  default     = null
}

variable "initial_row" {
  description = "Whether to make this environment's row, once. Leave it off if traffic-cop mirrors to the table: the row is the mirror's."
  type        = bool
  default     = false
}

variable "call_route" {
  description = "Name of the call route to make; null makes none."
  type        = string
  default     = null
}

variable "numbers" {
  description = "Numbers that lead to the Traffic Cop flow, in E.164 form."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for number in var.numbers : can(regex("^\\+[1-9][0-9]{1,14}$", number))])
    error_message = "Expected numbers in E.164 form, such as +4930123456."
  }
}
