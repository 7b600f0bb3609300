"""ImageXpress: MetaXpress exports with HTD files, and its database layout."""
