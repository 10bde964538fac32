//! Carts, checkouts and orders as facts.
//!
//! A version of a cart or checkout is its `updated_at` and a digest of the bytes:
//! two edits of one second are two facts, a delivery sent again is the same one.
//! An order is placed once and cancelled once, whatever delivers it.
//! Amounts are the shop's own currency; what a customer was shown is left alone.

use sha2::{Digest as _, Sha256};
use tradewind_domain::{
    Body, CartUpdated, CheckoutDeleted, CheckoutUpdated, Currency, EntityKey, EntityKind, Line, Money, MoneyError,
    OrderCancelled, OrderPlaced, Timestamp,
};

use super::header;
use crate::draft::{
    ADDRESS_BYTES_MAX, Connection, Draft, NAME_BYTES_MAX, Names, TITLE_BYTES_MAX, URL_BYTES_MAX, cut, personal,
};
use crate::inbound::{Misunderstood, Translation, Verified};
use crate::instant;
use crate::json::Object;

/// # Errors
///
/// The body is not what its topic says it is.
pub fn translate(verified: &Verified<'_>, connection: &Connection<'_>) -> Result<Translation, Misunderstood> {
    let topic = header(|name| verified.header(name), "topic")
        .ok_or_else(|| Misunderstood::new("missing", "the header x-shopify-topic or shopify-topic"))?;
    let draft = match topic {
        "carts/create" | "carts/update" => cart(verified, connection)?,
        "checkouts/create" => checkout(verified, connection, true)?,
        "checkouts/update" => checkout(verified, connection, false)?,
        "checkouts/delete" => checkout_deleted(verified, connection)?,
        "orders/create" => order_placed(verified, connection)?,
        "orders/cancelled" => order_cancelled(verified, connection)?,
        _ => return Ok(Translation::not_in_catalogue(topic)),
    };
    Ok(Translation::Facts(vec![draft]))
}

fn cart(verified: &Verified<'_>, connection: &Connection<'_>) -> Result<Draft, Misunderstood> {
    let cart = Object::parse(verified.body())?;
    expect_shape("a cart", !cart.has("total_price"))?;
    let token = match cart.id("token")? {
        Some(token) => token,
        None => cart.required("token", cart.id("id")?)?,
    };
    let (created_at, updated_at) = lifetime(&cart)?;
    let digest = digest(verified.body());
    let lines = cart.objects("line_items")?;
    let body = Body::CartUpdated(CartUpdated {
        cart: connection.key(EntityKind::Cart, &token),
        digest,
        created_at,
        total: sum_of_lines(&lines)?,
        lines: lines.iter().map(|item| line(item, None)).collect::<Result<_, _>>()?,
        names: Vec::new(),
    });
    Ok(connection.draft(&token, &version(updated_at, &digest), updated_at, body, Vec::new()))
}

fn checkout(verified: &Verified<'_>, connection: &Connection<'_>, started: bool) -> Result<Draft, Misunderstood> {
    let checkout = Object::parse(verified.body())?;
    let is_checkout = checkout.has("total_price") && !is_order(&checkout);
    expect_shape("a checkout", is_checkout)?;
    let token = checkout.required("token", checkout.id("token")?)?;
    let (created_at, updated_at) = lifetime(&checkout)?;
    let digest = digest(verified.body());
    let currency = unambiguous_currency(&checkout)?;
    let person = Person::of(&checkout)?;
    let lines = checkout.objects("line_items")?;
    let body = Body::CheckoutUpdated(CheckoutUpdated {
        checkout: connection.key(EntityKind::Checkout, &token),
        digest,
        created_at,
        completed_at: checkout.instant("completed_at", instant::rfc3339)?,
        lines: lines.iter().map(|item| line(item, currency)).collect::<Result<_, _>>()?,
        total: shop_money(&checkout, "total_price", currency)?,
        names: person.names(
            Names::new(connection)
                .at_vendor(EntityKind::Cart, checkout.id("cart_token")?.as_deref())
                .at_vendor(EntityKind::Checkout, checkout_number(&checkout)?.as_deref()),
        ),
        email: None,
        phone: None,
        first_name: None,
        recovery_url: None,
        started,
    });
    let personal = personal([
        ("email", person.email),
        ("phone", person.phone),
        ("first_name", person.first_name),
        ("recovery_url", checkout.filled_within("abandoned_checkout_url", URL_BYTES_MAX)?),
    ]);
    Ok(connection.draft(&token, &version(updated_at, &digest), updated_at, body, personal))
}

/// The payload has no time, and a number in place of the token. The number is what
/// the checkout's own facts name beside their token, so the two meet there.
fn checkout_deleted(verified: &Verified<'_>, connection: &Connection<'_>) -> Result<Draft, Misunderstood> {
    let checkout = Object::parse(verified.body())?;
    expect_shape("a deleted checkout", !is_order(&checkout))?;
    let id = match checkout.id("token")? {
        Some(token) => token,
        None => checkout.required("id", checkout_number(&checkout)?)?,
    };
    let deleted_at = header(|name| verified.header(name), "triggered-at").and_then(instant::rfc3339);
    let body = Body::CheckoutDeleted(CheckoutDeleted { checkout: connection.key(EntityKind::Checkout, &id) });
    Ok(connection.draft(&id, "deleted", deleted_at.unwrap_or(verified.received_at()), body, Vec::new()))
}

fn order_placed(verified: &Verified<'_>, connection: &Connection<'_>) -> Result<Draft, Misunderstood> {
    let order = Object::parse(verified.body())?;
    expect_shape("an order", is_order(&order))?;
    let id = order.required("id", order.id("id")?)?;
    // When it was bought: an order taken over from elsewhere was created just now
    // and processed years ago, and years ago is what it should count as.
    let placed_at = match order.instant("processed_at", instant::rfc3339)? {
        Some(time) => time,
        None => order.required("created_at", order.instant("created_at", instant::rfc3339)?)?,
    };
    let currency = currency(&order, "currency")?;
    let person = Person::of(&order)?;
    let lines = order.objects("line_items")?;
    let number = match order.filled_within("name", NAME_BYTES_MAX)? {
        Some(name) => Some(name),
        None => order.filled_within("order_number", NAME_BYTES_MAX)?,
    };
    let body = Body::OrderPlaced(OrderPlaced {
        order: connection.key(EntityKind::Order, &id),
        lines: lines.iter().map(|item| line(item, currency)).collect::<Result<_, _>>()?,
        total: shop_money(&order, "total_price", currency)?,
        names: order_names(&order, &person, connection)?,
        email: None,
        phone: None,
        first_name: None,
        test: order.flag("test")?.unwrap_or(false),
        number: number.unwrap_or_default().into(),
    });
    let personal = personal([("email", person.email), ("phone", person.phone), ("first_name", person.first_name)]);
    Ok(connection.draft(&id, "placed", placed_at, body, personal))
}

fn order_cancelled(verified: &Verified<'_>, connection: &Connection<'_>) -> Result<Draft, Misunderstood> {
    let order = Object::parse(verified.body())?;
    expect_shape("an order", is_order(&order))?;
    let id = order.required("id", order.id("id")?)?;
    // A body that is not cancelled was sent under another topic.
    let cancelled_at = order.required("cancelled_at", order.instant("cancelled_at", instant::rfc3339)?)?;
    let body = Body::OrderCancelled(OrderCancelled {
        order: connection.key(EntityKind::Order, &id),
        reason: cancel_reason(&order)?.into(),
        names: order_names(&order, &Person::of(&order)?, connection)?,
    });
    Ok(connection.draft(&id, "cancelled", cancelled_at, body, Vec::new()))
}

/// The vendor's word, where it is one of those it lists: it stands in clear for
/// ever, so nobody's own words may get there.
fn cancel_reason(order: &Object<'_>) -> Result<&'static str, Misunderstood> {
    const WORDS: [&str; 6] = ["customer", "inventory", "fraud", "declined", "staff", "other"];
    let Some(reason) = order.filled("cancel_reason")? else { return Ok("") };
    Ok(WORDS.into_iter().find(|word| reason.eq_ignore_ascii_case(word)).unwrap_or("other"))
}

fn order_names(
    order: &Object<'_>,
    person: &Person,
    connection: &Connection<'_>,
) -> Result<Vec<EntityKey>, Misunderstood> {
    Ok(person.names(
        Names::new(connection)
            .at_vendor(EntityKind::Cart, order.id("cart_token")?.as_deref())
            .at_vendor(EntityKind::Checkout, order.id("checkout_token")?.as_deref()),
    ))
}

/// Who a checkout or an order is by. Addresses are no evidence: a gift is shipped
/// to somebody else, and somebody else may pay.
struct Person {
    customer: Option<String>,
    emails: [Option<String>; 3],
    phones: [Option<String>; 2],
    email: Option<String>,
    phone: Option<String>,
    first_name: Option<String>,
}

impl Person {
    fn of(object: &Object<'_>) -> Result<Person, Misunderstood> {
        let customer = object.object("customer")?;
        let own = |name| object.filled_within(name, ADDRESS_BYTES_MAX);
        let of_customer =
            |name, bytes| customer.as_ref().map_or(Ok(None), |customer| customer.filled_within(name, bytes));
        let emails = [own("email")?, own("contact_email")?, of_customer("email", ADDRESS_BYTES_MAX)?];
        let phones = [own("phone")?, of_customer("phone", ADDRESS_BYTES_MAX)?];
        Ok(Person {
            customer: customer.as_ref().map_or(Ok(None), |customer| customer.id("id"))?,
            // What was typed for this purchase comes first: it is where the answer is awaited.
            email: emails.iter().flatten().next().cloned(),
            phone: phones.iter().flatten().next().cloned(),
            emails,
            phones,
            first_name: of_customer("first_name", NAME_BYTES_MAX)?,
        })
    }

    fn names(&self, names: Names<'_>) -> Vec<EntityKey> {
        let names = names.at_vendor(EntityKind::Customer, self.customer.as_deref());
        let names = self.emails.iter().fold(names, |names, email| names.email(email.as_deref()));
        self.phones.iter().fold(names, |names, phone| names.phone(phone.as_deref())).finish()
    }
}

fn line(item: &Object<'_>, currency: Option<Currency>) -> Result<Line, Misunderstood> {
    let text = |id: Option<String>| id.unwrap_or_default().into_boxed_str();
    // The lines of a cart share one variant's id where their properties differ; the key tells them apart.
    let line_id = match item.id("key")? {
        Some(key) => Some(key),
        None => item.id("id")?,
    };
    let unit_price = match money_of(item, "price", currency)? {
        Some((amount, currency)) => match Money::parse(&amount, currency) {
            Ok(price) => Some(price),
            // Finer than the currency's smallest unit: left out rather than rounded.
            Err(MoneyError::Precision { .. }) => None,
            Err(_) => return Err(item.malformed("price", "an amount")),
        },
        None => None,
    };
    Ok(Line {
        line_id: text(line_id),
        variant_id: text(item.id("variant_id")?),
        product_id: text(item.id("product_id")?),
        sku: text(item.text("sku")?.filter(|sku| sku.len() <= NAME_BYTES_MAX)),
        title: text(item.text("title")?.map(|title| cut(title, TITLE_BYTES_MAX))),
        quantity: item.required("quantity", item.integer("quantity")?)?,
        unit_price,
    })
}

/// A cart has no total and no currency of its own; its lines may.
fn sum_of_lines(lines: &[Object<'_>]) -> Result<Option<Money>, Misunderstood> {
    let mut sum: Option<Money> = None;
    for item in lines {
        let Some(price) = shop_money(item, "line_price", None)? else { return Ok(None) };
        let so_far = sum.map_or(0, |sum| sum.minor);
        if sum.is_some_and(|sum| sum.currency != price.currency) {
            return Err(item.malformed("line_price_set", "the currency of the other lines"));
        }
        let minor =
            so_far.checked_add(price.minor).ok_or_else(|| item.malformed("line_price_set", "a sum of 64 bits"))?;
        sum = Some(Money { minor, currency: price.currency });
    }
    Ok(sum)
}

/// `<name>_set.shop_money`, else `<name>` in the currency given.
fn shop_money(object: &Object<'_>, name: &str, currency: Option<Currency>) -> Result<Option<Money>, Misunderstood> {
    money_of(object, name, currency)?
        .map(|(amount, currency)| Money::parse(&amount, currency))
        .transpose()
        .map_err(|_| object.malformed(name, "an exact amount of its currency"))
}

fn money_of(
    object: &Object<'_>,
    name: &str,
    shop_currency: Option<Currency>,
) -> Result<Option<(String, Currency)>, Misunderstood> {
    let set = object.object(&format!("{name}_set"))?;
    if let Some(shop) = set.map_or(Ok(None), |set| set.object("shop_money"))?
        && let (Some(amount), Some(currency)) = (shop.filled("amount")?, currency(&shop, "currency_code")?)
    {
        return Ok(Some((amount, currency)));
    }
    Ok(object.filled(name)?.zip(shop_currency))
}

fn currency(object: &Object<'_>, name: &str) -> Result<Option<Currency>, Misunderstood> {
    object
        .filled(name)?
        .map(|code| code.parse().map_err(|_| object.malformed(name, "a currency of three capitals")))
        .transpose()
}

/// Where a checkout was shown in another currency than the shop's, nothing says
/// which of the two its plain amounts are in.
fn unambiguous_currency(checkout: &Object<'_>) -> Result<Option<Currency>, Misunderstood> {
    let shop = currency(checkout, "currency")?;
    let shown = currency(checkout, "presentment_currency")?;
    Ok(shop.filter(|shop| shown.is_none_or(|shown| shown == *shop)))
}

/// The checkout's number as Shopify writes it, `#981820079255243537`: from the
/// member `id`, or from its name.
fn checkout_number(checkout: &Object<'_>) -> Result<Option<String>, Misunderstood> {
    if let Some(id) = checkout.id("id")? {
        return Ok(Some(format!("#{id}")));
    }
    Ok(checkout.filled("name")?.filter(|name| {
        name.strip_prefix('#')
            .is_some_and(|number| (1..=20).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()))
    }))
}

fn is_order(object: &Object<'_>) -> bool {
    object.has("order_number") || object.has("financial_status")
}

/// The topic is not signed: a genuine body may come under a topic it was not sent for.
fn expect_shape(shape: &str, is_so: bool) -> Result<(), Misunderstood> {
    is_so.then_some(()).ok_or_else(|| Misunderstood::new("another_shape", format!("{shape}, as the topic says")))
}

/// When it was created and last updated; either stands in for the other.
fn lifetime(object: &Object<'_>) -> Result<(Timestamp, Timestamp), Misunderstood> {
    let created_at = object.instant("created_at", instant::rfc3339)?;
    let updated_at = object.required("updated_at", object.instant("updated_at", instant::rfc3339)?.or(created_at))?;
    Ok((created_at.unwrap_or(updated_at), updated_at))
}

fn digest(body: &[u8]) -> [u8; 16] {
    Sha256::digest(body)[..16].try_into().expect("a digest has 32 bytes")
}

fn version(updated_at: Timestamp, digest: &[u8; 16]) -> String {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}:{hex}", updated_at.millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_cancelled_orders_reason_only_the_vendors_own_words_are_kept() {
        let cases = [
            ("{}", ""),
            (r#"{"cancel_reason":null}"#, ""),
            (r#"{"cancel_reason":"customer"}"#, "customer"),
            (r#"{"cancel_reason":"STAFF"}"#, "staff"),
            (r#"{"cancel_reason":"Jane Doe changed her mind"}"#, "other"),
        ];
        for (order, reason) in cases {
            assert_eq!(cancel_reason(&Object::parse(order.as_bytes()).unwrap()).unwrap(), reason, "{order}");
        }
    }
}
