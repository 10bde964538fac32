//! What a webhook says, member for member as Shopify writes it: ids are integers
//! beyond 2^53, money is text, a cart has no currency but inside its lines.

use serde::Serialize;

use crate::chance::Chance;
use crate::clock::{offset_seconds, zulu_millis};
use crate::life::{Happening, KnownAs, Line, Moment, Visit};
use crate::people::Customer;

/// The shop's own time zone: New York in winter.
const OFFSET_MINUTES: i32 = -5 * 60;

/// The shop's own currency.
const CURRENCY: &str = "EUR";

/// What the webhooks are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    CartsCreate,
    CartsUpdate,
    CheckoutsCreate,
    CheckoutsUpdate,
    OrdersCreate,
    OrdersCancelled,
}

impl Topic {
    pub(crate) const ALL: [Topic; 6] = [
        Topic::CartsCreate,
        Topic::CartsUpdate,
        Topic::CheckoutsCreate,
        Topic::CheckoutsUpdate,
        Topic::OrdersCreate,
        Topic::OrdersCancelled,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Topic::CartsCreate => "carts/create",
            Topic::CartsUpdate => "carts/update",
            Topic::CheckoutsCreate => "checkouts/create",
            Topic::CheckoutsUpdate => "checkouts/update",
            Topic::OrdersCreate => "orders/create",
            Topic::OrdersCancelled => "orders/cancelled",
        }
    }
}

/// The webhook of a happening: its topic, what it is about, and its body; `None`
/// where the shop has no part in it.
pub(crate) fn body(happening: &Happening, domain: &str, is_escaped: bool) -> Option<(Topic, String, String)> {
    let (visit, at_ms) = (&*happening.visit, happening.at_ms);
    let (topic, object, text) = match &happening.moment {
        Moment::Cart { lines, is_new } => {
            let topic = if *is_new { Topic::CartsCreate } else { Topic::CartsUpdate };
            (topic, visit.cart_token.clone(), written(&cart(visit, lines, at_ms)))
        }
        Moment::Checkout { lines, is_new, is_completed } => {
            let topic = if *is_new { Topic::CheckoutsCreate } else { Topic::CheckoutsUpdate };
            let text = written(&checkout(visit, lines, at_ms, *is_completed, domain));
            (topic, visit.checkout_token.clone(), text)
        }
        Moment::Ordered { lines } => {
            let text = written(&order(visit, lines, at_ms, None, domain));
            (Topic::OrdersCreate, visit.order_id.to_string(), text)
        }
        Moment::Cancelled { lines, ordered_at_ms } => {
            let text = written(&order(visit, lines, *ordered_at_ms, Some(at_ms), domain));
            (Topic::OrdersCancelled, visit.order_id.to_string(), text)
        }
        Moment::TicketOpened | Moment::TicketAnswered | Moment::TicketClosed => return None,
    };
    Some((topic, object, if is_escaped { escaped(&text) } else { text }))
}

fn written(payload: &impl Serialize) -> String {
    serde_json::to_string(payload).expect("text and numbers are JSON")
}

/// The same JSON as some of Shopify's writers have it. These characters stand
/// nowhere in JSON but inside texts.
fn escaped(text: &str) -> String {
    text.replace('/', "\\/").replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

#[derive(Serialize)]
struct Price {
    amount: String,
    currency_code: &'static str,
}

/// What the shop counts, and what the customer was shown.
#[derive(Serialize)]
struct PriceSet {
    shop_money: Price,
    presentment_money: Price,
}

fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn set(visit: &Visit, cents: u64) -> PriceSet {
    let shown = match visit.dollars_per_euro_mille {
        Some(rate) => Price { amount: amount(cents * rate / 1_000), currency_code: "USD" },
        None => Price { amount: amount(cents), currency_code: CURRENCY },
    };
    PriceSet { shop_money: Price { amount: amount(cents), currency_code: CURRENCY }, presentment_money: shown }
}

fn shown_currency(visit: &Visit) -> &'static str {
    if visit.dollars_per_euro_mille.is_some() { "USD" } else { CURRENCY }
}

fn total_cents(lines: &[Line]) -> u64 {
    lines.iter().map(|line| line.cents()).sum()
}

/// What tells the lines of one variant apart; the same in every edit.
fn key(visit: &Visit, line: Line) -> String {
    let token = Chance::of(visit.number, "line", &[visit.cart_token.as_bytes(), &line.article.to_be_bytes()]).token();
    format!("{}:{token}", line.article().variant_id)
}

#[derive(Serialize)]
struct Cart<'a> {
    id: &'a str,
    token: &'a str,
    line_items: Vec<CartLine>,
    note: Option<&'a str>,
    updated_at: String,
    created_at: String,
}

#[derive(Serialize)]
struct CartLine {
    id: u64,
    properties: Option<()>,
    quantity: u64,
    variant_id: u64,
    key: String,
    discounted_price: String,
    discounts: [(); 0],
    gift_card: bool,
    grams: u64,
    line_price: String,
    original_line_price: String,
    original_price: String,
    price: String,
    product_id: u64,
    sku: Option<&'static str>,
    taxable: bool,
    title: &'static str,
    total_discount: &'static str,
    vendor: &'static str,
    discounted_price_set: PriceSet,
    line_price_set: PriceSet,
    original_line_price_set: PriceSet,
    price_set: PriceSet,
    total_discount_set: PriceSet,
    parent_relationship: Option<()>,
}

fn cart<'a>(visit: &'a Visit, lines: &[Line], at_ms: i64) -> Cart<'a> {
    Cart {
        id: &visit.cart_token,
        token: &visit.cart_token,
        line_items: lines.iter().map(|line| cart_line(visit, *line)).collect(),
        note: None,
        updated_at: zulu_millis(at_ms),
        created_at: zulu_millis(visit.began_at_ms),
    }
}

fn cart_line(visit: &Visit, line: Line) -> CartLine {
    let article = line.article();
    let (one, all) = (article.price_cents, line.cents());
    CartLine {
        id: article.variant_id,
        properties: None,
        quantity: line.pieces,
        variant_id: article.variant_id,
        key: key(visit, line),
        discounted_price: amount(one),
        discounts: [],
        gift_card: false,
        grams: article.grams,
        line_price: amount(all),
        original_line_price: amount(all),
        original_price: amount(one),
        price: amount(one),
        product_id: article.product_id,
        sku: sku(line),
        taxable: true,
        title: article.title,
        total_discount: "0.00",
        vendor: "Harbour & Sons",
        discounted_price_set: set(visit, one),
        line_price_set: set(visit, all),
        original_line_price_set: set(visit, all),
        price_set: set(visit, one),
        total_discount_set: set(visit, 0),
        parent_relationship: None,
    }
}

fn sku(line: Line) -> Option<&'static str> {
    Some(line.article().sku).filter(|sku| !sku.is_empty())
}

#[derive(Serialize)]
struct Address<'a> {
    first_name: &'a str,
    last_name: &'a str,
    name: String,
    company: Option<&'a str>,
    address1: &'a str,
    address2: Option<&'a str>,
    city: &'a str,
    zip: &'a str,
    province: Option<&'a str>,
    country_code: &'a str,
    phone: Option<&'a str>,
}

fn address(customer: &Customer) -> Address<'_> {
    Address {
        first_name: customer.first_name,
        last_name: customer.last_name,
        name: customer.name(),
        company: None,
        address1: &customer.street,
        address2: None,
        city: customer.city,
        zip: customer.zip,
        province: None,
        country_code: customer.country,
        phone: customer.phone.as_deref(),
    }
}

#[derive(Serialize)]
struct Buyer<'a> {
    id: u64,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    phone: Option<&'a str>,
    state: &'static str,
    note: Option<&'a str>,
    verified_email: bool,
    tax_exempt: bool,
    currency: &'static str,
    admin_graphql_api_id: String,
}

/// Customer, e-mail and telephone as the purchase names them.
fn buyer(visit: &Visit) -> (Option<Buyer<'_>>, Option<&str>, Option<&str>) {
    let customer = &visit.customer;
    let (email, phone) = (Some(customer.email.as_str()), customer.phone.as_deref());
    match visit.known_as {
        KnownAs::Member => {
            let buyer = Buyer {
                id: customer.shop_id,
                email: &customer.email,
                first_name: customer.first_name,
                last_name: customer.last_name,
                phone,
                state: "enabled",
                note: None,
                verified_email: true,
                tax_exempt: false,
                currency: CURRENCY,
                admin_graphql_api_id: format!("gid://shopify/Customer/{}", customer.shop_id),
            };
            (Some(buyer), email, None)
        }
        KnownAs::Guest => (None, email, None),
        KnownAs::Caller => (None, None, phone),
    }
}

#[derive(Serialize)]
struct Checkout<'a> {
    id: u64,
    token: &'a str,
    cart_token: &'a str,
    email: Option<&'a str>,
    gateway: Option<&'a str>,
    buyer_accepts_marketing: bool,
    created_at: String,
    updated_at: String,
    landing_site: Option<&'a str>,
    note: Option<&'a str>,
    note_attributes: [(); 0],
    taxes_included: bool,
    total_weight: u64,
    currency: &'static str,
    completed_at: Option<String>,
    closed_at: Option<String>,
    user_id: Option<u64>,
    phone: Option<&'a str>,
    customer_locale: &'static str,
    line_items: Vec<CheckoutLine>,
    name: String,
    abandoned_checkout_url: String,
    discount_codes: [(); 0],
    source_name: &'static str,
    presentment_currency: &'static str,
    total_discounts: &'static str,
    total_line_items_price: String,
    total_price: String,
    total_tax: &'static str,
    subtotal_price: String,
    total_duties: Option<()>,
    billing_address: Address<'a>,
    shipping_address: Address<'a>,
    customer: Option<Buyer<'a>>,
}

#[derive(Serialize)]
struct CheckoutLine {
    key: String,
    fulfillment_service: &'static str,
    gift_card: bool,
    grams: u64,
    presentment_title: &'static str,
    product_id: u64,
    properties: Option<()>,
    quantity: u64,
    requires_shipping: bool,
    sku: Option<&'static str>,
    taxable: bool,
    title: &'static str,
    variant_id: u64,
    variant_price: String,
    vendor: &'static str,
    line_price: String,
    price: String,
}

fn checkout<'a>(visit: &'a Visit, lines: &[Line], at_ms: i64, is_completed: bool, domain: &str) -> Checkout<'a> {
    // Where another currency was shown, a checkout's plain amounts are in that one.
    let shown = |cents: u64| amount(visit.dollars_per_euro_mille.map_or(cents, |rate| cents * rate / 1_000));
    let line_items = lines.iter().map(|line| {
        let article = line.article();
        CheckoutLine {
            key: key(visit, *line),
            fulfillment_service: "manual",
            gift_card: false,
            grams: article.grams,
            presentment_title: article.title,
            product_id: article.product_id,
            properties: None,
            quantity: line.pieces,
            requires_shipping: true,
            sku: sku(*line),
            taxable: true,
            title: article.title,
            variant_id: article.variant_id,
            variant_price: shown(article.price_cents),
            vendor: "Harbour & Sons",
            line_price: shown(line.cents()),
            price: shown(article.price_cents),
        }
    });
    let (customer, email, phone) = buyer(visit);
    let total = shown(total_cents(lines));
    Checkout {
        id: visit.checkout_number,
        token: &visit.checkout_token,
        cart_token: &visit.cart_token,
        email,
        gateway: None,
        buyer_accepts_marketing: visit.number.is_multiple_of(3),
        created_at: offset_seconds(visit.checkout_at_ms, OFFSET_MINUTES),
        updated_at: offset_seconds(at_ms, OFFSET_MINUTES),
        landing_site: None,
        note: None,
        note_attributes: [],
        taxes_included: true,
        total_weight: lines.iter().map(|line| line.article().grams * line.pieces).sum(),
        currency: CURRENCY,
        completed_at: is_completed.then(|| offset_seconds(at_ms, OFFSET_MINUTES)),
        closed_at: None,
        user_id: None,
        phone,
        customer_locale: "en-GB",
        line_items: line_items.collect(),
        name: format!("#{}", visit.checkout_number),
        abandoned_checkout_url: format!(
            "https://{domain}/63145/checkouts/ac/{}/recover?key={}&locale=en-GB",
            visit.checkout_token, visit.cart_token
        ),
        discount_codes: [],
        source_name: "web",
        presentment_currency: shown_currency(visit),
        total_discounts: "0.00",
        total_line_items_price: total.clone(),
        total_price: total.clone(),
        total_tax: "0.00",
        subtotal_price: total,
        total_duties: None,
        billing_address: address(&visit.customer),
        shipping_address: address(&visit.customer),
        customer,
    }
}

#[derive(Serialize)]
struct Order<'a> {
    id: u64,
    admin_graphql_api_id: String,
    app_id: Option<u64>,
    browser_ip: Option<&'a str>,
    buyer_accepts_marketing: bool,
    cancel_reason: Option<&'static str>,
    cancelled_at: Option<String>,
    cart_token: &'a str,
    checkout_id: u64,
    checkout_token: &'a str,
    closed_at: Option<String>,
    confirmed: bool,
    contact_email: Option<&'a str>,
    created_at: String,
    currency: &'static str,
    current_total_price: String,
    current_total_price_set: PriceSet,
    customer_locale: &'static str,
    email: Option<&'a str>,
    financial_status: &'static str,
    fulfillment_status: Option<&'static str>,
    name: String,
    note: Option<&'a str>,
    number: u64,
    order_number: u64,
    order_status_url: String,
    payment_gateway_names: [&'static str; 1],
    phone: Option<&'a str>,
    presentment_currency: &'static str,
    processed_at: String,
    source_name: &'static str,
    subtotal_price: String,
    subtotal_price_set: PriceSet,
    tags: &'static str,
    taxes_included: bool,
    test: bool,
    token: &'a str,
    total_discounts: &'static str,
    total_line_items_price: String,
    total_price: String,
    total_price_set: PriceSet,
    total_tax: &'static str,
    total_weight: u64,
    updated_at: String,
    billing_address: Address<'a>,
    shipping_address: Address<'a>,
    customer: Option<Buyer<'a>>,
    line_items: Vec<OrderLine>,
    refunds: [(); 0],
}

#[derive(Serialize)]
struct OrderLine {
    id: u64,
    admin_graphql_api_id: String,
    fulfillable_quantity: u64,
    fulfillment_status: Option<&'static str>,
    gift_card: bool,
    grams: u64,
    name: &'static str,
    price: String,
    price_set: PriceSet,
    product_exists: bool,
    product_id: u64,
    quantity: u64,
    requires_shipping: bool,
    sku: Option<&'static str>,
    taxable: bool,
    title: &'static str,
    total_discount: &'static str,
    variant_id: u64,
    vendor: &'static str,
}

fn order<'a>(
    visit: &'a Visit,
    lines: &[Line],
    ordered_at_ms: i64,
    cancelled_at_ms: Option<i64>,
    domain: &str,
) -> Order<'a> {
    let line_items = lines.iter().zip(0..).map(|(line, position)| {
        let article = line.article();
        let id = visit.order_id / 2 + position;
        OrderLine {
            id,
            admin_graphql_api_id: format!("gid://shopify/LineItem/{id}"),
            fulfillable_quantity: line.pieces,
            fulfillment_status: None,
            gift_card: false,
            grams: article.grams,
            name: article.title,
            price: amount(article.price_cents),
            price_set: set(visit, article.price_cents),
            product_exists: true,
            product_id: article.product_id,
            quantity: line.pieces,
            requires_shipping: true,
            sku: sku(*line),
            taxable: true,
            title: article.title,
            total_discount: "0.00",
            variant_id: article.variant_id,
            vendor: "Harbour & Sons",
        }
    });
    let cents = total_cents(lines);
    let local = |at_ms| offset_seconds(at_ms, OFFSET_MINUTES);
    let (customer, email, phone) = buyer(visit);
    Order {
        id: visit.order_id,
        admin_graphql_api_id: format!("gid://shopify/Order/{}", visit.order_id),
        app_id: None,
        browser_ip: None,
        buyer_accepts_marketing: visit.number.is_multiple_of(3),
        cancel_reason: cancelled_at_ms.map(|_| "customer"),
        cancelled_at: cancelled_at_ms.map(local),
        cart_token: &visit.cart_token,
        checkout_id: visit.checkout_number,
        checkout_token: &visit.checkout_token,
        closed_at: None,
        confirmed: true,
        contact_email: email,
        created_at: local(ordered_at_ms),
        currency: CURRENCY,
        current_total_price: amount(cents),
        current_total_price_set: set(visit, cents),
        customer_locale: "en-GB",
        email,
        financial_status: if cancelled_at_ms.is_some() { "voided" } else { "paid" },
        fulfillment_status: None,
        name: format!("#{}", 1_001 + visit.number),
        note: None,
        number: 1 + visit.number,
        order_number: 1_001 + visit.number,
        order_status_url: format!("https://{domain}/63145/orders/{}/authenticate?key=a", visit.checkout_token),
        payment_gateway_names: ["bogus"],
        phone,
        presentment_currency: shown_currency(visit),
        processed_at: local(ordered_at_ms),
        source_name: "web",
        subtotal_price: amount(cents),
        subtotal_price_set: set(visit, cents),
        tags: "",
        taxes_included: true,
        test: false,
        token: &visit.checkout_token,
        total_discounts: "0.00",
        total_line_items_price: amount(cents),
        total_price: amount(cents),
        total_price_set: set(visit, cents),
        total_tax: "0.00",
        total_weight: lines.iter().map(|line| line.article().grams * line.pieces).sum(),
        updated_at: local(cancelled_at_ms.unwrap_or(ordered_at_ms)),
        billing_address: address(&visit.customer),
        shipping_address: address(&visit.customer),
        customer,
        line_items: line_items.collect(),
        refunds: [],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::life::{Life, Plan};

    fn bodies(is_escaped: bool) -> Vec<(Topic, String, String)> {
        let plan = Plan {
            seed: 7,
            started_at_ms: 1_795_428_000_000,
            customers: 50,
            visits_per_hour: 240,
            visits_max: Some(200),
            tickets: 0,
        };
        Life::new(plan).filter_map(|happening| body(&happening, "demo.myshopify.com", is_escaped)).collect()
    }

    #[test]
    fn escaping_changes_the_bytes_and_not_what_they_say() {
        for ((_, _, plain), (_, _, escaped)) in bodies(false).iter().zip(bodies(true)) {
            let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            assert_eq!(read(plain), read(&escaped));
        }
        assert!(bodies(true).iter().any(|(_, _, body)| body.contains(r"https:\/\/")));
    }

    fn cents(money: &Value) -> u64 {
        let (whole, hundredths) = money.as_str().and_then(|text| text.split_once('.')).expect("money is text");
        whole.parse::<u64>().expect("digits") * 100 + hundredths.parse::<u64>().expect("digits")
    }

    #[test]
    fn amounts_agree_with_each_other() {
        for (topic, _, body) in bodies(false) {
            let body: Value = serde_json::from_str(&body).expect("JSON");
            let mut total = 0;
            for line in body["line_items"].as_array().expect("lines") {
                let (price, pieces) = (cents(&line["price"]), line["quantity"].as_u64().expect("a number"));
                total += price * pieces;
                if let Some(set) = line.get("price_set") {
                    assert_eq!(cents(&set["shop_money"]["amount"]), price);
                }
                if let Some(set) = line.get("line_price_set") {
                    assert_eq!(cents(&set["shop_money"]["amount"]), price * pieces);
                }
            }
            // What was shown in dollars is rounded line by line.
            if body["presentment_currency"] == "EUR" {
                assert_eq!(cents(&body["total_price"]), total, "{}", topic.as_str());
            }
        }
    }

    #[test]
    fn ordinary_oddities_occur() {
        let all = bodies(false);
        let parsed = |topic: Topic| -> Vec<Value> {
            let of_topic = all.iter().filter(|(is, ..)| *is == topic);
            of_topic.map(|(_, _, body)| serde_json::from_str(body).expect("JSON")).collect()
        };
        for topic in Topic::ALL {
            assert!(!parsed(topic).is_empty(), "{}", topic.as_str());
        }
        assert!(parsed(Topic::CartsCreate).iter().all(|cart| cart.get("currency").is_none()));
        assert!(parsed(Topic::CartsUpdate).iter().any(|cart| cart["line_items"] == serde_json::json!([])));
        let orders = parsed(Topic::OrdersCreate);
        assert!(orders.iter().all(|order| order["id"].as_u64().is_some_and(|id| id > 1 << 53)));
        assert!(orders.iter().any(|order| order["email"].is_null()));
        assert!(orders.iter().any(|order| order["customer"].is_null()));
        let shown_in_dollars = |checkout: &Value| checkout["presentment_currency"] == "USD";
        assert!(parsed(Topic::CheckoutsCreate).iter().any(shown_in_dollars));
        assert!(parsed(Topic::OrdersCancelled).iter().all(|order| order["cancelled_at"].is_string()));
    }
}
