"""From Salesforce's names to those of attributes, columns and tables: the whole rule as a table."""

from __future__ import annotations

import keyword
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omreceiver.records.naming import TAKEN, attribute_names, snake_case

#: an API name: letters, digits and single underscores, maybe with a namespace and a suffix
WORD = st.from_regex(r"\A[A-Za-z][A-Za-z0-9]{0,5}(_[A-Za-z0-9]{1,5}){0,2}\Z")
API_NAME = st.builds(
    lambda namespace, word, suffix: f"{namespace}{word}{suffix}",
    st.sampled_from(["", "acme__"]),
    WORD,
    st.sampled_from(["", "__c", "__pc", "__Latitude__s"]),
)
#: Salesforce does not tell field names of one object apart by case
API_NAMES = st.lists(API_NAME, unique_by=str.lower, max_size=12)


@pytest.mark.parametrize(
    ("api_name", "name"),
    [
        ("Name", "name"),
        ("CloseDate", "close_date"),
        ("AccountId", "account_id"),
        ("IsDeleted", "is_deleted"),
        ("NumberOfEmployees", "number_of_employees"),
        ("SystemModstamp", "system_modstamp"),
        ("BillingStreet", "billing_street"),
        ("HTMLBody", "html_body"),
        ("HTML", "html"),
        ("IsSLA", "is_sla"),
        ("SLA__c", "sla__c"),
        ("ERP_Id__c", "erp_id__c"),
        ("Account_Source__c", "account_source__c"),
        ("AccountSource__c", "account_source__c"),
        ("accountsource__c", "accountsource__c"),
        ("ContractTerm__c", "contract_term__c"),
        ("Site_Location__Latitude__s", "site_location__latitude__s"),
        ("PersonBirthdate", "person_birthdate"),
        ("Nick__pc", "nick__pc"),
        ("Line2__c", "line2__c"),
        ("Line2Text__c", "line2_text__c"),
        ("A1B2__c", "a1_b2__c"),
        ("2Fast__c", "2_fast__c"),
        ("acme__Total__c", "acme__total__c"),
        ("npe01__HomeEmail__c", "npe01__home_email__c"),
        ("pi__score__c", "pi__score__c"),
        ("Account", "account"),
        ("PartnerAccount", "partner_account"),
        ("acme__Invoice__c", "acme__invoice__c"),
        ("OpportunityLineItem", "opportunity_line_item"),
        ("X", "x"),
        # known not to be pretty: nothing tells where iPhone or McDonalds begins a word
        ("iPhone__c", "i_phone__c"),
        ("McDonalds__c", "mc_donalds__c"),
        ("VATs__c", "va_ts__c"),
    ],
)
def test_snake_case(api_name: str, name: str) -> None:
    assert snake_case(api_name) == name


@pytest.mark.parametrize(
    ("api_names", "names"),
    [
        (["Name", "CloseDate"], ["name", "close_date"]),
        # two that would meet are both written without the added underscores
        (["Foo_Bar__c", "FooBar__c"], ["foo_bar__c", "foobar__c"]),
        (["FooBar__c", "Foo_Bar__c", "Name"], ["foobar__c", "foo_bar__c", "name"]),
        # and so is a third one that would meet one of these
        (["Foo_barBaz", "FooBar_Baz", "FooBarbaz"], ["foo_barbaz", "foobar_baz", "foobarbaz"]),
        (["ABc__c", "A_Bc__c"], ["abc__c", "a_bc__c"]),
        # Python's words
        (["Class", "From", "Is", "Name"], ["class_", "from_", "is_", "name"]),
        (["Match", "Type"], ["match", "type"]),
        # what a mapped class has already
        (["ExternalId", "SalesforceId", "OrganizationId"], ["external_id_", "salesforce_id_", "organization_id_"]),
        (["ChildName", "Modstamp", "Extra"], ["child_name_", "modstamp_", "extra_"]),
        (["Metadata", "Registry"], ["metadata_", "registry_"]),
        (["ExternalId__c", "Extra__c"], ["external_id__c", "extra__c"]),
        ([], []),
    ],
)
def test_attribute_names(api_names: list[str], names: list[str]) -> None:
    assert attribute_names(api_names) == dict(zip(api_names, names, strict=True))


@pytest.mark.parametrize(
    ("api_name", "name"),
    [
        ("acmeindustries1__" + "Ab" * 20 + "__c", "acmeindustries1__" + "ab" * 20 + "__c"),
        ("Ab" * 20 + "__c", "ab_" * 20 + "_c"),
    ],
)
def test_a_name_is_not_made_longer_than_a_database_can_hold(api_name: str, name: str) -> None:
    """PostgreSQL's names have up to 63 characters, Salesforce's with their namespace 60."""
    assert snake_case(api_name) == name


@given(API_NAMES)
def test_every_name_is_given_once_and_can_be_an_attribute_and_a_column(api_names: list[str]) -> None:
    names = attribute_names(api_names)

    assert list(names) == api_names
    assert len(set(names.values())) == len(api_names)
    assert all(name.isidentifier() and not keyword.iskeyword(name) for name in names.values())
    assert not TAKEN & set(names.values())


@given(API_NAMES, st.randoms())
def test_the_order_of_the_fields_has_no_part_in_it(api_names: list[str], random: Random) -> None:
    shuffled = random.sample(api_names, len(api_names))

    assert attribute_names(shuffled) == attribute_names(api_names)


@given(API_NAME)
def test_no_letter_is_lost(api_name: str) -> None:
    assert snake_case(api_name).replace("_", "") == api_name.replace("_", "").lower()
